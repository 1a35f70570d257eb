import { test } from 'uvu'
import { openFailpoints } from './failpoint.ts'
import { changes } from './operation-change.ts'
import { startPlatform } from './platform.ts'
import { web } from './source.ts'
import { strikeAll } from './strike.ts'

/** The daemon is struck at each step of a change to a running app: config vars, rollbacks, scaling, restarts, one-off dynos, and what dynos do. */
const points = await openFailpoints()
const platform = await startPlatform(points.settings)
test.after(async () => {
  await platform.stop()
  await points.close()
})

const app = 'struck'
const bystander = 'bystander'
await platform.prepare(async () => {
  await platform.deploy(bystander)
  await platform.deploy(app, { web, clock: 'exec sleep 600' })
  await platform.api('PATCH', `/apps/${app}/formation/clock`, { quantity: 1 })
  // So that there are two to roll back and forth between: it must serve before the next is made, which would supersede it.
  await platform.api('PATCH', `/apps/${app}/config-vars`, { COLOUR: 'colour-0' })
  await platform.settled(app, 3)
})

strikeAll({ platform, points, loaded: [{ app }, { app: bystander }] }, 'change', changes(platform, app))

test.run()
