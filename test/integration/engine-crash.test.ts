import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createDockerEngine } from '../../daemon/engine/docker.ts'
import { EngineError } from '../../daemon/engine/engine.ts'
import { createLog } from '../../daemon/log.ts'
import { call, listContainers } from '../e2e/engine.ts'
import { bash, createDockerRig, socket } from '../engine/docker-rig.ts'
import { appOf, never, printed, rejection } from '../engine/rig.ts'

const rig = await createDockerRig(2)
test.after(() => rig.close())
const engine = rig.engine()

/** What a daemon that died between create and start leaves: a copy of a dyno's container, never started. */
async function leaveHalfMade(of: string): Promise<void> {
  const [container] = await listContainers(rig.installation)
  const { Name, Config, HostConfig } = await call<{ Name: string; Config: object; HostConfig: object }>(
    'GET',
    `/containers/${container?.Id}/json`,
  )
  assert.match(Name, of)
  await call('DELETE', `/containers/${container?.Id}?force=true`)
  await call('POST', `/containers/create?name=${Name.slice(1)}`, { ...Config, HostConfig })
}

test('a dyno whose container was made and not started is started', async () => {
  const { id, spec } = appOf(rig)
  const dyno = spec('echo ready; exec sleep 600')
  await engine.start(dyno)
  await leaveHalfMade(dyno.id)
  const placed = await rig.engine().start(dyno)
  assert.is(placed.running, true)
  await printed(engine, dyno.id, 'ready')
  await engine.removeApp(id)
})

test('what nobody starts again is swept: containers never started, volumes and layers without one', async () => {
  const { id, spec } = appOf(rig)
  const dyno = spec('exec sleep 600')
  await engine.start(dyno)
  await leaveHalfMade(dyno.id)
  await mkdir(join(rig.data, 'dynos', 'layer-alone', 'upper'), { recursive: true })
  await call('POST', '/volumes/create', { Name: `sluice-test-${id}`, Labels: volumeLabels('volume-alone') })
  await rig.engine().sweepBuilds()
  assert.equal(await engine.list(), [])
  await call('DELETE', `/volumes/sluice-test-${id}`)
  await engine.removeApp(id)
  assert.equal(await rig.leftovers(), [])
})

const volumeLabels = (id: string) => ({ 'sluice.installation': rig.installation, 'sluice.id': id })

test('another installation on the same engine is not touched', async () => {
  const { id, spec } = appOf(rig)
  const placed = await engine.start(spec('exec sleep 600'))
  const log = createLog(() => {})
  const stranger = createDockerEngine({ socket, installation: 'another-installation', data: rig.data, log })
  assert.equal(await stranger.list(), [])
  await stranger.stop(placed.id, 0)
  await stranger.removeApp(id)
  assert.equal(await engine.list(), [placed])
  await engine.removeApp(id)
})

test('a network that overlaps with another is refused with the way out', async () => {
  const one = appOf(rig)
  const other = appOf(rig)
  await engine.start(one.spec('exec sleep 600'))
  const network = { name: `${rig.network.name}-overlapping`, subnet: rig.network.subnet }
  const error = await rejection(engine.start(other.spec('exec sleep 600', { network })))
  assert.instance(error, EngineError)
  assert.match(error.message, /10\.102\.2\.0\/26 overlaps .* SLUICE_NETWORK_POOL/)
  await engine.removeApp(other.id)
  await engine.removeApp(one.id)
  assert.equal(await rig.leftovers(), [])
})

test('an engine that is not there is named, with the way out', async () => {
  const gone = createDockerEngine({
    socket: '/nowhere/engine.sock',
    installation: 'x',
    data: rig.data,
    log: createLog(() => {}),
  })
  const expected =
    'The Docker engine at /nowhere/engine.sock does not answer. Start it (systemctl start docker) or set SLUICE_ENGINE.'
  const calls = [
    () => gone.ping(),
    () => gone.list(),
    () => gone.stop('x', 0),
    () => gone.watch(never)[Symbol.asyncIterator]().next(),
  ]
  for (const attempt of calls) {
    const error = await rejection(attempt())
    assert.instance(error, EngineError)
    assert.is(error.message, expected)
  }
})

test('builds run as an ordinary user with the mounts they were given, apart from one another and from dynos', async () => {
  const { id, build, spec } = appOf(rig)
  const dyno = await engine.start(spec('exec sleep 600'))
  const mounts = [{ host: rig.slug, path: '/source', readOnly: true }]
  const script = `id -u; cat /source/shared; touch /source/x 2>/dev/null || echo read-only; echo "$IMAGE_SAYS|$KEY"`
  const env = ['PATH=/usr/bin:/bin', 'KEY=a b']
  const running = await engine.build(build(bash(script), { mounts, env }), never)
  let output = ''
  for await (const chunk of running.output) output += chunk
  assert.is(output, '1000\nas it was\nread-only\n|a b\n')
  assert.equal(await running.exit, { exitCode: 0, outOfMemory: false })
  const networks = await call<{ Options: Record<string, string>; Containers?: object }[]>(
    'GET',
    `/networks?filters=${encodeURIComponent(JSON.stringify({ label: [`sluice.installation=${rig.installation}`, 'sluice.kind=build'] }))}`,
  )
  assert.equal(
    networks.map(({ Options }) => Options['com.docker.network.bridge.enable_icc']),
    ['false'],
  )
  assert.equal(await engine.list(), [dyno])
  await engine.removeApp(id)
  await engine.sweepBuilds()
})

test('a build that runs out of memory says so', async () => {
  const { build } = appOf(rig)
  // containerd tells of no such kill in a container that is gone by the time it looks
  const script = `perl -e 'my $x = "x" x 300_000_000; sleep 9'; code=$?; sleep 1; exit $code`
  const running = await engine.build(build(bash(script), { memory: 64 * 1024 * 1024 }), never)
  for await (const _ of running.output);
  assert.equal(await running.exit, { exitCode: 137, outOfMemory: true })
})

test.run()
