import * as assert from 'uvu/assert'
import { waitFor } from '../e2e/wait.ts'
import { tarOf } from './pipeline-rig.ts'
import type { Walk } from './walk.ts'

export async function walkBuilds(at: Walk): Promise<void> {
  const { get, all, scripts } = at
  await all([['DELETE', '/apps/walk/build-cache']])
  const built = await get('POST', '/apps/walk/builds', { source_blob: await upload(at, '/apps/walk/sources', {}) })
  const done = await waitFor('the build', async () => {
    const build = await get('GET', `/apps/walk/builds/${built.id}`)
    return build.status !== 'pending' && build
  })
  assert.equal([done.status, typeof done.release?.id], ['succeeded', 'string'])
  let go = () => {}
  scripts.compiler.hold = new Promise((resolve) => {
    go = resolve
  })
  const slow = await get('POST', '/apps/walk/builds', { source_blob: await upload(at, '/sources', { other: '' }) })
  await all([
    ['DELETE', `/apps/walk/builds/${slow.id}`],
    ['GET', '/apps/walk/builds'],
  ])
  go()
  scripts.compiler.hold = undefined
  await all([
    ['GET', `/apps/walk/slugs/${done.slug.id}`],
    ['GET', '/apps/walk/releases'],
    ['GET', '/apps/walk/releases/2'],
  ])
  await walkSlug(at)
  await all([['POST', '/apps/walk/releases', { release: '2' }]])
}

/** The archive of a slug that was built goes to another app, as one that was made elsewhere. */
async function walkSlug({ get, all }: Walk): Promise<void> {
  const [{ slug: first }] = (await get('GET', '/apps/walk/releases')).reverse()
  const { blob } = await get('GET', `/apps/walk/slugs/${first.id}`)
  const archive = await (await fetch(blob.url)).arrayBuffer()
  const made = await get('POST', '/apps/walk-prod/slugs', { process_types: { web: 'serve' }, commit: 'abcdef' })
  assert.is((await fetch(made.blob.url, { method: 'PUT', body: archive })).status, 200)
  await all([['POST', '/apps/walk-prod/releases', { slug: made.id }]])
}

/** Where a source with these files was sent. */
async function upload({ get }: Walk, sources: string, files: Record<string, string>): Promise<{ url: string }> {
  const { put_url, get_url } = (await get('POST', sources)).source_blob
  const archive = await tarOf({ Procfile: 'web: serve\nrelease: migrate\n', ...files })
  assert.is((await fetch(put_url, { method: 'PUT', body: archive })).status, 200)
  return { url: get_url }
}

export async function walkSetup(at: Walk): Promise<void> {
  at.scripts.script = { prints: 'seeded\n', exitCode: 0 }
  const manifest = JSON.stringify({ scripts: { postdeploy: 'seed' }, success_url: '/welcome' })
  const source_blob = await upload(at, '/sources', { 'app.json': manifest })
  const { id } = await at.get('POST', '/app-setups', { source_blob })
  const setup = await waitFor('the set-up', async () => {
    const setup = await at.get('GET', `/app-setups/${id}`)
    return setup.status !== 'pending' && setup
  })
  assert.equal([setup.status, setup.postdeploy], ['succeeded', { output: 'seeded\n', exit_code: 0 }])
}
