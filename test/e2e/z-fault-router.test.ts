import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { openControlProxy } from './control-proxy.ts'
import { openFailpoints } from './failpoint.ts'
import { startLoad, underLoad } from './load.ts'
import { startPlatform } from './platform.ts'
import { waitFor } from './wait.ts'
import { whole } from './whole.ts'

/** What a router says comes late, or never, or another speaks in its name. z-fault-router-steps.test.ts kills it, and cuts it off. */
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

let load: ReturnType<typeof startLoad>
const testUnderLoad = (name: string, work: () => Promise<void>) =>
  test(name, () => {
    load = startLoad(platform.ports.http, `${app}.localhost`)
    return underLoad({ [app]: load }, work)
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

testUnderLoad('a cutover waits for an acknowledgement that comes late', async () => {
  await points.passed()
  control.treat('late')
  await waits(await change(), () => control.treat('prompt'))
})

testUnderLoad('an acknowledgement that is lost with its connection is told again on the next', async () => {
  await points.passed()
  control.treat('lost')
  await waits(await change(), () => {
    control.treat('prompt')
    control.cut()
  })
})

testUnderLoad(
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

testUnderLoad('a second connection in the name of a router takes its place, and the router takes it back', async () => {
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
