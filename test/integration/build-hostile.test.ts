import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { listBuilds } from '../../daemon/build/build.ts'
import { run } from '../../daemon/build/command.ts'
import { createSideband } from '../../daemon/git/sideband.ts'
import { slugArchive } from '../../daemon/store/slug-path.ts'
import { call } from '../e2e/engine.ts'
import { waitFor } from '../e2e/wait.ts'
import { buildsOf, SOURCE, startHostileRig } from './hostile-rig.ts'
import { moveIn } from './neighbour.ts'

/** Builds that take all that they can get. */
const hostile = await startHostileRig()
const { rig } = hostile
const neighbour = await moveIn(rig)
const MiB = 1024 ** 2
test.before.each(() => hostile.bound({ diskUsedEvery: 200 }))
test.after.each(() => hostile.settle())
test.after(() => hostile.close())

test('forks without end that ignore SIGTERM are stopped when their time is over', async () => {
  hostile.bound({ buildTime: 6000, buildPids: 100 })
  const { release, output } = await hostile.build(`trap '' TERM HUP INT; f() { f | f & }; while :; do f; done`)
  assert.is(release, undefined)
  assert.match(output, 'The build took longer than 0.1 minutes, so it was stopped.')
})

test('a compile that takes more memory than there is fails, and reads how much there is', async () => {
  hostile.bound({ buildMemory: 192 * MiB })
  const { output } = await hostile.build(`perl -e 'my $x = "x" x 400_000_000; print length $x'; exit 1`)
  assert.match(output, /failed to compile Hostile app\.\n !\s+The build may use 192\.0M of memory\./)
})

test('whatever a build can write to counts as its disk, and there is nowhere else to write', async () => {
  hostile.bound({ buildDisk: 60 * MiB })
  const fill = (path: string) => `head -c 15M /dev/zero > ${path}/x || echo "no room in ${path}"`
  const places = ['"$1"', '"$2"', '/app', '/var/tmp', '/sluice/out'].map(fill).join('; ')
  const { output } = await hostile.build(
    `for place in /usr/x /etc/x /run/x /run/lock/x /home/x /x /sluice/in/x /dev/x; do touch $place 2>/dev/null && echo "wrote $place"; done; ${places}; sleep 600`,
  )
  assert.match(output, 'The build needs more than 60.0M of disk, so it was stopped.')
  assert.not.match(output, /no room in|wrote/)
})

test('files without content count too', async () => {
  hostile.bound({ buildFiles: 3000 })
  const { output } = await hostile.build(
    'mkdir "$1/many"; cd "$1/many"; for n in {1..40}; do touch $n-{1..100}; done; sleep 600',
  )
  assert.match(output, 'The build needs more than 3,000 files, so it was stopped.')
})

test('what a buildpack leaves running ends before the slug is packed, and nobody waits for it', async () => {
  const { release, output } = await hostile.build(
    `(trap '' TERM HUP; setsid bash -c 'while :; do echo more >> "$1/growing"; echo noise; done' left "$1" &) ; sleep 0.2`,
  )
  if (!release) throw new Error(output.slice(-2000))
  const kept = await readFile(join(rig.tree(release), 'growing'))
  const archive = slugArchive(rig.d.config, String(release.slug_id))
  const listed = await run('tar', ['-tv', '--zstd', '-f', archive, './app/growing'])
  assert.is(Number(listed.split(/\s+/)[2]), kept.length)
})

test('output without end, on one line and in many, is bounded everywhere, also for a client that reads nothing', async () => {
  const app = await rig.app([
    await hostile.pack(
      'head -c 30M /dev/zero | tr "\\0" x; yes "$(printf %0200d 0)" | head -c 90M; echo; echo the end',
    ),
  ])
  const unread = new Writable({ write() {} })
  const sideband = createSideband(unread, 'the rest is in the stored output')
  const before = inUse()
  let [printed, looked, most] = [0, 0, 0]
  const { release } = await rig.push(app, SOURCE, {
    sink(chunk) {
      sideband.write(chunk)
      printed += chunk.length
      if (printed < looked + 8 * MiB) return
      looked = printed
      most = Math.max(most, inUse() - before)
    },
  })
  assert.ok(release)
  assert.ok(printed > 100 * MiB, `${printed} bytes were printed`)
  assert.ok(most < 40 * MiB, `the daemon held ${most} bytes more`)
  assert.ok(unread.writableLength < 3 * MiB)
  const [transcript = ''] = (await readdir(join(rig.d.config.data, 'transcripts'))).filter((name) =>
    name.includes('build-'),
  )
  for (const name of [transcript]) assert.ok((await stat(join(rig.d.config.data, 'transcripts', name))).size < 17 * MiB)
  assert.ok((await sizeOf(join(rig.d.config.data, 'logs'))) < 60 * MiB)
})

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

/** Bytes that the daemon, which is this process, could not do without. */
function inUse(): number {
  // what the first finds of buffers is let go of by the second
  collect()
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const sizeOf = async (folder: string): Promise<number> => Number.parseInt(await run('du', ['-sb', folder]), 10)

test('colours pass, what would command a terminal does not, and bytes that are no text are told as such', async () => {
  const { release, output } = await hostile.build(
    `printf 'a\\e[32mgreen\\e[0m\\e]0;title\\a\\e]52;c;cm0=\\e\\\\\\e[2J\\e[3A\\0b\\xff\\n'`,
  )
  assert.ok(release)
  assert.match(output, '\na\x1b[32mgreen\x1b[0mb\ufffd\n')
})

test('builds wait for one another, are told so, and yield to dynos', async () => {
  const slow = await rig.app([await hostile.pack('echo begun; until [[ -e /tmp/go ]]; do sleep 0.1; done')])
  const quick = await rig.app([await hostile.pack('true')])
  const { promise: begun, resolve } = deferred()
  const first = rig.push(slow, SOURCE, { onOutput: (output) => output.includes('begun') && resolve() })
  await begun
  let said = ''
  const second = rig.push(quick, SOURCE, {
    onOutput(output) {
      said = output
    },
  })
  const [container] = await buildsOf(rig)
  const { HostConfig } = await call<{ HostConfig: Record<string, unknown> }>('GET', `/containers/${container?.Id}/json`)
  assert.equal([HostConfig.CpuShares, HostConfig.OomScoreAdj, HostConfig.ReadonlyRootfs], [128, 500, true])
  await waitFor('the second to say that it waits', () => said.includes('-----> Waiting for 1 other build...\n'))
  const [build] = await listBuilds(rig.d.db, slow.id)
  await writeFile(join(rig.d.config.data, 'builds', build?.id ?? '', 'tmp', 'go'), '')
  assert.ok((await first).release)
  assert.ok((await second).release)
})

function deferred() {
  let resolve = (): void => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve: () => resolve() }
}

test('all the while the machine’s other app and the daemon have answered', async () => {
  const { answered, failed } = await neighbour.leave()
  assert.equal(failed, [])
  assert.ok(answered > 20, `${answered} answers`)
})

test.run()
