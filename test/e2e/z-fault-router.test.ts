import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Failpoint } from '../../daemon/failpoint.ts'
import { openControlProxy } from './control-proxy.ts'
import { openFailpoints } from './failpoint.ts'
import { describe, startLoad } from './load.ts'
import { startPlatform } from './platform.ts'
import { waitFor } from './wait.ts'
import { whole } from './whole.ts'

/** The router is killed, or its connection with the daemon fails, while the daemon stands still at each step of a deploy. */
const control = await openControlProxy()
const SILENCE = 3000
const points = await openFailpoints({ routerSilence: SILENCE, routerPing: 500 })
const platform = await startPlatform({ ...points.settings, ...control.settings })
control.lead(platform.ports.api)
test.after(async () => {
  await platform.stop()
  control.close()
  await points.close()
})
const { api } = platform

const app = 'routed'
const source = await platform.prepare(() => platform.deploy(app))
let count = 0

/** Resolves when it is under way, with what waits until it serves. */
type Deploy = () => Promise<() => Promise<void>>

/** A release is committed when this resolves, and under way; its version. */
async function change(): Promise<number> {
  await api('PATCH', `/apps/${app}/config-vars`, { COUNT: String(++count) })
  return (await platform.releases(app)).length
}

const changing: Deploy = async () => {
  const version = await change()
  return async () => {
    assert.is((await platform.settled(app, version)).status, 'succeeded')
    assert.is(JSON.parse((await platform.request(app, '/env')).body).COUNT, String(count))
  }
}

/** Of a commit without new files, or of one that is built. */
const pushing =
  (built: boolean): Deploy =>
  async () => {
    const commit = await source.commit(built ? { built: String(++count) } : {})
    const push = platform.push(source, app)
    return async () => {
      const { code, output } = await push
      assert.is(code, 0, output)
      const serving = (await platform.releases(app)).find(({ current }) => current)
      assert.is(serving?.description, `Deploy ${commit.slice(0, 8)}`)
    }
  }

/** The steps that the daemon takes, from when it is under way. */
async function stepsOf(deploy: Deploy): Promise<Failpoint[]> {
  await whole(platform)
  await points.passed()
  await (await deploy())()
  await whole(platform)
  const passed = await points.passed()
  // before it a release is not there to be waited for
  passed.delete('config.released')
  return [...passed] as Failpoint[]
}

const steps = await platform.prepare(() => stepsOf(changing))

test('a router that is killed at each step of a push serves again, by itself, as soon as it is back: the push goes on, and is whole', async () => {
  // config vars have changed since the last build, so the first is built
  await (await pushing(true)())()
  const all = await stepsOf(pushing(false))
  assert.ok(all.length > 10 && all.includes('push.received') && all.includes('rollout.cutover'), all.join())
  for (const step of all) await killedAt(step, pushing(false))
  for (const step of ['build.created', 'slug.placed'] as const) await killedAt(step, pushing(true))
})

async function killedAt(step: Failpoint, deploy: Deploy): Promise<void> {
  await points.arm(step, 'pause')
  const serves = await deploy()
  await points.struck(step)
  await platform.router.kill('SIGKILL')
  platform.router.start()
  await waitFor('an answer', isRight, { every: 20 })
  const load = startLoad(platform.ports.http, `${app}.localhost`)
  await waitFor('ten requests', () => load.sent() >= 10)
  const result = await load.stop()
  assert.is(result.failures.length, 0, describe(result))
  await points.release(step)
  await serves()
  await whole(platform)
}

const isRight = async () => /^v1 /.test((await platform.request(app)).body)

let load: ReturnType<typeof startLoad>
const underLoad = (name: string, work: () => Promise<void>) =>
  test(name, async () => {
    load = startLoad(platform.ports.http, `${app}.localhost`)
    try {
      await work()
    } finally {
      const result = await load.stop()
      assert.is(result.failures.length, 0, describe(result))
    }
  })

underLoad('a connection that breaks at each step of a deploy fails no request, and is made anew', async () => {
  assert.ok(steps.length > 10 && steps.includes('rollout.cutover'), steps.join())
  for (const step of steps) {
    await points.arm(step, 'pause')
    const serves = await changing()
    await points.struck(step)
    control.cut()
    await points.release(step)
    await serves()
  }
  await whole(platform)
})

/** The release waits, and its predecessor serves, with all of its dynos, until `end`. */
async function waits(version: number, end: () => void): Promise<void> {
  await waitFor('the cutover', async () => (await points.passed()).has('rollout.cutover'))
  const sent = load.sent()
  await waitFor('a hundred requests', () => load.sent() >= sent + 100)
  assert.is((await platform.releases(app)).at(-1)?.status, 'pending')
  const old = (await platform.dynos(app)).filter(({ release }) => release.version < version)
  assert.ok(
    old.some(({ state }) => state === 'up'),
    'the old dyno is on its way out before the router has said that it follows',
  )
  end()
  assert.is((await platform.settled(app, version)).status, 'succeeded')
  await whole(platform)
}

underLoad('a cutover waits for an acknowledgement that comes late', async () => {
  await points.passed()
  control.treat('late')
  await waits(await change(), () => control.treat('prompt'))
})

underLoad('an acknowledgement that is lost with its connection is told again on the next', async () => {
  await points.passed()
  control.treat('lost')
  await waits(await change(), () => {
    control.treat('prompt')
    control.cut()
  })
})

underLoad(
  'a router that falls silent is given up, the release waits for one, and goes live when it is back',
  async () => {
    await points.passed()
    await points.arm('rollout.cutover', 'pause')
    const version = await change()
    await points.struck('rollout.cutover')
    control.treat('silent')
    await points.release('rollout.cutover')
    const silent = async () =>
      (await api<{ state: string }[]>('GET', '/sluice/routers')).every(({ state }) => state === 'awaited')
    await waitFor('the router to be given up', silent)
    await waits(version, () => control.treat('prompt'))
  },
)

underLoad('a second connection in the name of a router takes its place, and the router takes it back', async () => {
  await points.arm('rollout.cutover', 'pause')
  const version = await change()
  await points.struck('rollout.cutover')
  control.impersonate()
  await waitFor('the router to be pushed out', () => /identity of this one/.test(platform.router.log()))
  await points.release('rollout.cutover')
  assert.is((await platform.settled(app, version)).status, 'succeeded')
  await whole(platform)
})

test.run()
