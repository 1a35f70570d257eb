import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import { openFailpoints } from './failpoint.ts'
import { firstPush, pushed } from './operation-push.ts'
import { starts } from './operation-start.ts'
import { uploads } from './operation-upload.ts'
import { startPlatform } from './platform.ts'
import { sampleFiles } from './source.ts'
import { strikeAll } from './strike.ts'

/** The daemon is struck at each step of a push, of an upload, and of its own start. */
const points = await openFailpoints()
const platform = await startPlatform({ ...points.settings, SLUICE_SLUGS: '2' })
test.after(async () => {
  await platform.stop()
  await points.close()
})

const app = 'struck'
const bystander = 'bystander'
const struck = { platform, points, loaded: [{ app }, { app: bystander }] }
const source = await platform.prepare(async () => {
  await platform.deploy(bystander)
  return platform.deploy(app)
})
const other = await platform.createSource(sampleFiles())

/** The sample app in the form of a slug. */
async function slug(): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-slug-'))
  try {
    execFileSync('cp', ['-a', other.dir, join(folder, 'app')])
    return execFileSync('tar', ['-C', folder, '-cz', '--exclude', '.git', './app'])
  } finally {
    await rm(folder, { recursive: true })
  }
}

strikeAll(struck, 'push', {
  ...pushed(platform, app, source),
  ...uploads(platform, app, await slug()),
  first: firstPush(platform, other),
})
strikeAll(struck, 'start', starts(platform))

test.run()
