import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { listBuilds } from '../../daemon/build/build.ts'
import { call, listImages, listNetworks } from '../e2e/engine.ts'
import { PIDS } from '../engine/cgroup.ts'
import { ensureTestImage } from '../engine/image.ts'
import { startHostileRig } from './hostile-rig.ts'

/** Steps of Dockerfiles, which run as root, that take all that they can get. */
const hostile = await startHostileRig()
const { rig } = hostile
const base = await ensureTestImage(rig.d.config.engineSocket)
const mark = `sluice.test.of=hostile-${process.pid}`
const MiB = 1024 ** 2
test.after.each(() => hostile.settle())
test.after(async () => {
  await hostile.close()
  assert.equal(await listImages(mark), [])
})

const dockerfile = (step: string) => ({
  Dockerfile: `FROM ${base}\nLABEL ${mark}\nRUN ["/bin/bash", "-c", ${JSON.stringify(step)}]\nCMD ["true"]\n`,
})
const build = async (step: string) => rig.push(await rig.app([], 'container'), dockerfile(step))

test('a step that forks without end ends when it gets no more processes, or when its time is over', async () => {
  hostile.bound({ buildTime: 6000, buildPids: 100 })
  const { release, output } = await build(
    `until [[ $(${PIDS}) != max ]]; do sleep 0.1; done; trap '' TERM HUP INT; f() { f | f & }; while :; do f; done`,
  )
  assert.is(release, undefined)
  assert.match(output, /The build took longer than 0\.1 minutes, so it was stopped\.|returned a non-zero code/)
})

test('a step that writes too much is stopped, also when it says that another container is the one to look at', async () => {
  hostile.bound({ buildDisk: 30 * MiB })
  const { release, output } = await build(
    `echo ' ---> Running in 0123456789ab'; head -c 60000000 /dev/zero > /big; sleep 600`,
  )
  assert.is(release, undefined)
  assert.match(output, 'The build needs more than 30.0M of disk, so it was stopped.')
})

test('a step that takes more memory than there is fails, and reads how much there is', async () => {
  hostile.bound({ buildMemory: 64 * MiB })
  const { output } = await build(`exec perl -e 'my $x = "x" x 300_000_000'`)
  assert.match(output, 'most likely because it needed more than 64.0M of memory')
})

test('a step, which could take the place of its neighbours, is on a network without any, which goes with the build', async () => {
  const builds = async () => (await listNetworks(rig.installation)).map(({ Name }) => Name)
  let during: Promise<string[]> | undefined
  const goOn = (said: string) => {
    const [, container] = / ---> Running in (\w+)\nready/.exec(said) ?? []
    return call('POST', `/containers/${container}/kill?signal=USR1`)
  }
  const app = await rig.app([], 'container')
  const step = `trap 'exit 0' USR1; echo ready; while :; do sleep 0.1; done`
  const { release, output } = await rig.push(app, dockerfile(step), {
    onOutput(said) {
      if (said.includes('\nready')) during ??= builds().finally(() => goOn(said))
    },
  })
  assert.ok(release, output)
  const [id] = (await listBuilds(rig.d.db, app.id)).map((one) => one.id)
  assert.ok(
    (await during)?.some((name) => name.includes(`-${id}-`)),
    String(await during),
  )
  assert.equal(
    (await builds()).filter((name) => name.includes(`-${id}-`)),
    [],
  )
})

test('what a step prints commands no terminal', async () => {
  const { release, output } = await build(`printf 'a\\e[32mgreen\\e[0m\\e]0;title\\a\\e[2Jb\\n'`)
  assert.ok(release, output)
  assert.match(output, '\na\x1b[32mgreen\x1b[0mb\n')
})

test.run()
