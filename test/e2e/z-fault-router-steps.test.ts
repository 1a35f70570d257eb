import { test } from 'uvu'
import { openControlProxy } from './control-proxy.ts'
import { openFailpoints } from './failpoint.ts'
import { startLoad, underLoad } from './load.ts'
import { eachOperation } from './operation-each.ts'
import { startPlatform } from './platform.ts'
import { eachStep, type StrikeAtStep } from './steps.ts'
import { waitFor } from './wait.ts'

/** The router is killed, and its connection breaks, while the daemon stands at each step of each operation on a running app. */
const control = await openControlProxy()
const points = await openFailpoints()
const platform = await startPlatform({ ...points.settings, ...control.settings })
control.lead(platform.ports.api)
test.after(async () => {
  await platform.stop()
  control.close()
  await points.close()
})

/** Requests a second, beside all that starts and ends. */
const RATE = 20
const app = 'routed'
const operations = await platform.prepare(() => eachOperation(platform, app))

const isRight = async () => /^v\d/.test((await platform.request(app)).body)

const kill: StrikeAtStep = async (_, goOn) => {
  await platform.router.kill('SIGKILL')
  platform.router.start()
  await waitFor('an answer', isRight, { every: 20 })
  const load = startLoad(platform.ports.http, `${app}.localhost`)
  await underLoad({ [app]: load }, async () => void (await waitFor('ten requests', () => load.sent() >= 10)))
  await goOn()
}

const cut: StrikeAtStep = async (_, goOn) => {
  control.cut()
  await goOn()
}

const struck = eachStep({ platform, points })

for (const performed of operations) {
  test(`a router that is killed at each step of ${performed.name} serves as soon as it is back`, () =>
    struck(performed, { at: kill, atOnce: 8 }))
  test(`a connection that breaks at each step of ${performed.name} fails no request`, () =>
    underLoad({ [app]: startLoad(platform.ports.http, `${app}.localhost`, undefined, RATE) }, () =>
      struck(performed, { at: cut, atOnce: 20 }),
    ))
}

test.run()
