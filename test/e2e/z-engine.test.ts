import { readdir, readFile } from 'node:fs/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { openFailpoints } from './failpoint.ts'
import { type Load, startLoad, underLoad } from './load.ts'
import { openOwnEngine } from './own-engine.ts'
import { startPlatform } from './platform.ts'
import { waitFor } from './wait.ts'

/** The engine is killed under a platform that works, with the daemon, and with everything. z-engine-steps.test.ts has each step. */
const engine = await openOwnEngine()
const points = await openFailpoints()
const platform = await startPlatform(points.settings)
test.after(async () => {
  // whatever has failed here
  if (!(await engine.answers())) await engine.start()
  await platform.stop()
  await points.close()
})

const app = 'engineless'
await platform.prepare(() => platform.deploy(app))
let count = 0

const running = async () => (await platform.containers()).filter(({ State }) => State === 'running').map(({ Id }) => Id)

/** One dyno serves what the newest release that succeeded is, and no other runs. A dead engine's volumes it may count for ever. */
async function serves(): Promise<void> {
  await waitFor('one dyno of the release that serves', async () => {
    const [dynos, containers, releases] = await Promise.all([platform.dynos(app), running(), platform.releases(app)])
    const current = releases.find(({ current }) => current)
    const seen = JSON.stringify({ dynos, containers, releases: releases.slice(-3) })
    if (releases.some(({ status }) => status === 'pending')) throw new Error(seen)
    if (dynos.length !== 1 || dynos[0]?.state !== 'up' || containers.length !== 1) throw new Error(seen)
    if (dynos[0].release.version !== current?.version) throw new Error(seen)
    return (await platform.request(app)).status === 200
  })
}

async function change(): Promise<number> {
  await platform.api('PATCH', `/apps/${app}/config-vars`, { COUNT: String(++count) })
  return (await platform.releases(app)).length
}

/** Does it, and then a change that must succeed, while no request may fail. */
function survived(work: (load: Load) => Promise<void>): Promise<void> {
  const load = startLoad(platform.ports.http, `${app}.localhost`)
  return underLoad({ [app]: load }, async () => {
    await work(load)
    await serves()
    const version = await change()
    assert.is((await platform.settled(app, version)).status, 'succeeded')
    assert.is(JSON.parse((await platform.request(app, '/env')).body).COUNT, String(count))
  })
}

test('an engine that is killed takes no app with it, and the platform goes on when it is back', () =>
  survived(async (load) => {
    const before = await running()
    await engine.kill()
    const sent = load.sent()
    await waitFor('a hundred requests without an engine', () => load.sent() >= sent + 100)
    await engine.start()
    assert.equal(await running(), before, 'the containers are others than before')
  }))

test('the engine and the daemon are killed at once while a dyno boots', () =>
  survived(async () => {
    await points.arm('container.created', 'pause')
    await change()
    await points.struck('container.created')
    await Promise.all([engine.kill(), platform.daemon.kill('SIGKILL')])
    await points.release('container.created')
    await engine.start()
    await platform.startDaemon()
  }))

/** All that a power cut ends, of this platform. */
async function cutPower(): Promise<void> {
  const containers = await running()
  await Promise.all([platform.daemon.kill('SIGKILL'), platform.router.kill('SIGKILL'), engine.kill()])
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    const group = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '')
    const ours = containers.some((id) => group.includes(id) || (line.includes('containerd-shim') && line.includes(id)))
    if (ours) endAtOnce(Number(pid))
  }
}

/** Those of one dyno go with its first process, maybe before their turn comes. */
function endAtOnce(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

const starts = {
  engine: () => engine.start(),
  router: async () => platform.router.start(),
  daemon: () => platform.startDaemon(),
}

for (const order of [
  ['router', 'engine', 'daemon'],
  ['engine', 'router', 'daemon'],
] as const)
  test(`after a power cut all is back when ${order.join(', ')} start in this order`, async () => {
    const releases = (await platform.releases(app)).length
    await cutPower()
    for (const part of order) await starts[part]()
    await waitFor('the app to answer', async () => (await platform.request(app)).status === 200)
    await serves()
    assert.is((await platform.releases(app)).length, releases)
    const version = await change()
    assert.is((await platform.settled(app, version)).status, 'succeeded')
  })

test('a daemon that starts before its engine says so and ends, so that it is started again', async () => {
  await engine.kill()
  await platform.daemon.kill('SIGKILL')
  platform.daemon.start()
  await waitFor('the daemon to end', () => !platform.daemon.running)
  assert.match(platform.daemon.log(), /sluice: The Docker engine at .* does not answer\. Start it/)
  await engine.start()
  await platform.startDaemon()
  await serves()
})

test.run()
