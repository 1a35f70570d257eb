import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Failpoint } from '../../daemon/failpoint.ts'
import { openControlProxy } from './control-proxy.ts'
import { openFailpoints } from './failpoint.ts'
import { describe, startLoad } from './load.ts'
import { startPlatform } from './platform.ts'
import { waitFor } from './wait.ts'
import { whole } from './whole.ts'

/** The router is killed, and its connection with the daemon fails, while the daemon stands still at each step of a deploy. */
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
await platform.prepare(() => platform.deploy(app))
let count = 0

/** A release is committed when this resolves, and under way; its version. */
async function change(): Promise<number> {
  await api('PATCH', `/apps/${app}/config-vars`, { COUNT: String(++count) })
  return (await platform.releases(app)).length
}

const countServed = async () => JSON.parse((await platform.request(app, '/env')).body).COUNT

/** The steps that the daemon takes from the release on. */
async function stepsOf(): Promise<Failpoint[]> {
  await whole(platform)
  await points.passed()
  await platform.settled(app, await change())
  await whole(platform)
  const passed = await points.passed()
  // before it the release is not there to be waited for
  passed.delete('config.released')
  return [...passed] as Failpoint[]
}

const steps = await platform.prepare(stepsOf)

/** What `strike` does while the daemon stands at each step in turn; then the release serves. */
function atEachStep(name: string, strike: () => Promise<void>): void {
  test(`${name} at each step of a deploy: the deploy goes on, and is whole`, async () => {
    assert.ok(steps.length > 10 && steps.includes('rollout.cutover'), steps.join())
    for (const step of steps) {
      await points.arm(step, 'pause')
      const version = await change()
      await points.struck(step)
      await strike()
      await points.release(step)
      assert.is((await platform.settled(app, version)).status, 'succeeded', step)
      assert.is(await countServed(), String(count), step)
      await whole(platform)
    }
  })
}

const isRight = async () => /^v1 /.test((await platform.request(app)).body)

atEachStep('a router that is killed serves again, by itself, as soon as it is back,', async () => {
  await platform.router.kill('SIGKILL')
  platform.router.start()
  await waitFor('an answer', isRight, { every: 20 })
  const load = startLoad(platform.ports.http, `${app}.localhost`)
  await waitFor('ten requests', () => load.sent() >= 10)
  const result = await load.stop()
  assert.is(result.failures.length, 0, describe(result))
})

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
  for (const step of steps) {
    await points.arm(step, 'pause')
    const version = await change()
    await points.struck(step)
    control.cut()
    await points.release(step)
    assert.is((await platform.settled(app, version)).status, 'succeeded', step)
    assert.is(await countServed(), String(count), step)
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
      (await api<{ state: string }[]>('GET', '/sluice/routers')).every(({ state }) => state === 'lost')
    await waitFor('the router to be taken for lost', silent)
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
