import { test } from 'uvu'
import { openFailpoints } from './failpoint.ts'
import { life } from './operation-app.ts'
import { backUp } from './operation-backup.ts'
import { startPlatform } from './platform.ts'
import { strikeAll } from './strike.ts'

/** The daemon is struck while apps are made, named, promoted to, reached under domains, and erased. */
const points = await openFailpoints()
const platform = await startPlatform(points.settings)
test.after(async () => {
  await platform.stop()
  await points.close()
})

const app = 'staging'
const operations = await platform.prepare(async () => ({
  ...(await life(platform, app, await platform.deploy(app))),
  backUp: backUp(platform),
}))

strikeAll({ platform, points, loaded: [{ app }] }, 'life', operations)

test.run()
