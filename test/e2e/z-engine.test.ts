import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Failpoint } from '../../daemon/failpoint.ts'
import { call } from './engine.ts'
import { openFailpoints } from './failpoint.ts'
import { describe, type Load, startLoad } from './load.ts'
import { startPlatform } from './platform.ts'
import { waitFor } from './wait.ts'

/** Kills the engine that the other files share, and has it started again by the set-up script. */
const points = await openFailpoints()
const platform = await startPlatform(points.settings)
test.after(async () => {
  // the files after this one need it, whatever has failed here
  if (!(await engineAnswers())) await startEngine()
  await platform.stop()
  await points.close()
})

const app = 'engineless'
const source = await platform.prepare(() => platform.deploy(app))
let count = 0

const running = async () => (await platform.containers()).filter(({ State }) => State === 'running').map(({ Id }) => Id)
const engineAnswers = () =>
  call('GET', '/version').then(
    () => true,
    () => false,
  )

async function killEngine(): Promise<void> {
  process.kill(await enginePid(), 'SIGKILL')
  await waitFor('the engine to be gone', async () => !(await engineAnswers()))
}

async function startEngine(): Promise<void> {
  await promisify(execFile)('bash', ['systemd/setup.sh', '--for=test'])
  await waitFor('the engine to be back', engineAnswers, { within: 60_000 })
}

/** One dyno serves what the newest release that succeeded is, and of all apps no more than `all` run. A dead engine's volumes it may count for ever. */
async function serves(all = 1): Promise<void> {
  await waitFor('one dyno of the release that serves', async () => {
    const [dynos, containers, releases] = await Promise.all([platform.dynos(app), running(), platform.releases(app)])
    const current = releases.find(({ current }) => current)
    const seen = JSON.stringify({ dynos, containers, releases: releases.slice(-3) })
    if (releases.some(({ status }) => status === 'pending')) throw new Error(seen)
    if (dynos.length !== 1 || dynos[0]?.state !== 'up' || containers.length !== all) throw new Error(seen)
    if (dynos[0].release.version !== current?.version) throw new Error(seen)
    return (await platform.request(app)).status === 200
  })
}

async function change(): Promise<number> {
  await platform.api('PATCH', `/apps/${app}/config-vars`, { COUNT: String(++count) })
  return (await platform.releases(app)).length
}

/** Does it, and then a change that must succeed, while no request may fail. */
async function underLoad(work: (load: Load) => Promise<void>): Promise<void> {
  const load = startLoad(platform.ports.http, `${app}.localhost`)
  try {
    await work(load)
    await serves()
    const version = await change()
    assert.is((await platform.settled(app, version)).status, 'succeeded')
    assert.is(JSON.parse((await platform.request(app, '/env')).body).COUNT, String(count))
  } finally {
    const result = await load.stop()
    assert.is(result.failures.length, 0, describe(result))
  }
}

test('an engine that is killed takes no app with it, and the platform goes on when it is back', () =>
  underLoad(async (load) => {
    const before = await running()
    await killEngine()
    const sent = load.sent()
    await waitFor('a hundred requests without an engine', () => load.sent() >= sent + 100)
    await startEngine()
    assert.equal(await running(), before, 'the containers are others than before')
  }))

/** Kills it while the daemon stands at a step of what `begin` begins. */
const killedAt = (step: Failpoint, begin: () => Promise<unknown>, end: (begun: Promise<unknown>) => Promise<void>) =>
  underLoad(async () => {
    await points.arm(step, 'pause')
    const begun = begin()
    begun.catch(() => {})
    await points.struck(step)
    await killEngine()
    await points.release(step)
    await startEngine()
    await end(begun)
  })

test('the engine is killed while it builds: the push fails and says why', () =>
  killedAt(
    'build.created',
    async () => {
      await source.version(`v${++count}`)
      return platform.push(source, app)
    },
    async (push) => {
      const { code, output } = (await push) as { code: number; output: string }
      assert.is.not(code, 0)
      assert.match(output, /The Docker engine .* does not answer/)
    },
  ))

for (const step of ['container.created', 'container.started', 'dyno.draining', 'container.ended'] as const)
  test(`the engine is killed at ${step} of a config change`, () =>
    killedAt(step, change, async (version) => {
      await platform.settled(app, (await version) as number)
    }))

test('the engine is killed while an app is destroyed: it goes all the same, and another takes its name', async () => {
  await platform.deploy('passing')
  await serves(2)
  await killedAt(
    'dyno.stopping',
    () => platform.api('DELETE', '/apps/passing'),
    async (destroyed) => {
      await destroyed
      await platform.createApp('passing')
    },
  )
  await platform.api('DELETE', '/apps/passing')
})

test('the engine and the daemon are killed at once while a dyno boots', () =>
  underLoad(async () => {
    await points.arm('container.created', 'pause')
    await change()
    await points.struck('container.created')
    await Promise.all([killEngine(), platform.daemon.kill('SIGKILL')])
    await points.release('container.created')
    await startEngine()
    await platform.startDaemon()
  }))

/** All that a power cut ends, of this platform. */
async function cutPower(): Promise<void> {
  const containers = await running()
  await Promise.all([platform.daemon.kill('SIGKILL'), platform.router.kill('SIGKILL'), killEngine()])
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
  engine: startEngine,
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
  await killEngine()
  await platform.daemon.kill('SIGKILL')
  platform.daemon.start()
  await waitFor('the daemon to end', () => !platform.daemon.running)
  assert.match(platform.daemon.log(), /sluice: The Docker engine at .* does not answer\. Start it/)
  await startEngine()
  await platform.startDaemon()
  await serves()
})

/** The engine's own pid file: other engines may run on the same machine, for other users or tests. */
const enginePid = async (): Promise<number> => Number(await readFile('/var/run/docker.pid', 'utf8'))

test.run()
