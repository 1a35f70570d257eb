import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ensureTestImage } from '../engine/image.ts'
import { listImages } from './engine.ts'
import { openFailpoints } from './failpoint.ts'
import { imageApp, images, layerLabel } from './operation-image.ts'
import { startPlatform } from './platform.ts'
import { strikeAll } from './strike.ts'
import { waitFor } from './wait.ts'

/** The daemon is struck at each step of a deploy on the container stack. */
const points = await openFailpoints()
const platform = await startPlatform(points.settings)
test.after(async () => {
  await platform.stop()
  await points.close()
})

const app = 'boxed'
const bystander = 'bystander'
const source = await platform.prepare(async () => {
  await ensureTestImage(process.env.SLUICE_ENGINE || '/var/run/docker.sock')
  await platform.deploy(bystander)
  await platform.api('POST', '/apps', { name: app, stack: 'container' })
  const source = await platform.createSource(imageApp('v1'))
  const { code, output } = await platform.push(source, app)
  assert.is(code, 0, output)
  return source
})

const { push, release } = images(platform, app, source)
strikeAll({ platform, points, loaded: [{ app, right: ({ status }) => status === 200 }, { app: bystander }] }, 'image', {
  image: push,
  release,
})

test('nothing of the images of a destroyed app is left in the engine', async () => {
  await platform.api('DELETE', `/apps/${app}`)
  await waitFor('its images to be gone', async () => (await listImages(layerLabel)).length === 0)
})

test.run()
