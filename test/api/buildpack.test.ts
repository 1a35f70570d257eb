import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { serveBuildpacks } from '../integration/buildpack-server.ts'
import { createCompiler } from './compiler.ts'
import { startHost } from './host.ts'

/** What the API says of buildpacks, over a registry of the test's own. */
const served = await serveBuildpacks()
const folder = await mkdtemp(join(tmpdir(), 'sluice-own-'))
await served.addArchive('own.tgz', { 'bin/compile': 'x' })
execFileSync('mkdir', ['-p', join(folder, 'acme', 'folder', 'bin')])
const host = await startHost({
  SLUICE_BUILDPACK_REGISTRY: served.url('registry'),
  SLUICE_BUILDPACKS: folder,
  SLUICE_DRAIN_ALLOW: '127.0.0.1',
})
const { d } = host
const compiler = createCompiler()
d.engine = compiler.engine
let now = Date.now()
Object.assign(d, { clock: { ...d.clock, now: () => now } })
test.before.each(() => {
  served.down = false
  // Later than what is remembered of the registry, but for a token that lasts.
  now += 10 * 60_000
})
test.after(async () => {
  await host.close()
  await served.close()
  await rm(folder, { recursive: true, force: true })
})

const ask = (path: string) => host.request('GET', path, { token: null })
const put = (app: string, ...buildpacks: string[]) =>
  host.request('PUT', `/apps/${app}/buildpack-installations`, {
    body: { updates: buildpacks.map((buildpack) => ({ buildpack })) },
  })
const listed = async (app: string, token?: string): Promise<string[]> => {
  const { json } = await host.request('GET', `/apps/${app}/buildpack-installations`, token ? { token } : {})
  return json.map(({ buildpack }: { buildpack: { url: string } }) => buildpack.url)
}
const newApp = (name: string) => host.request('POST', '/apps', { body: { name } })

const entry = { namespace: 'acme', name: 'known', description: 'Everything', category: 'tools' }
const says = (path: string, body: unknown) =>
  served.answers.set(`/registry${path}`, (_, res) => res.end(JSON.stringify(body)))
says('/buildpacks/acme%2Fknown', { ...entry, blob_url: served.url('known.tgz') })
says('/buildpacks/acme%2Fknown/revisions', [{ release: 7, created_at: '2020-01-01', status: 'published' }])
says('/buildpacks/acme%2Fknown/readme', { content: 'aGk=', encoding: 'base64' })
says('/buildpacks', [{ ...entry, blob_url: 'x' }, { namespace: '../..', name: 'evil' }, null, 7])

test('what the registry knows is passed on, with a name in place of where it is', async () => {
  assert.equal((await ask('/buildpacks/acme%2Fknown')).json, { ...entry, blob_url: 'urn:buildpack:acme/known' })
  assert.is((await ask('/buildpacks/acme%2Fknown/revisions')).json[0].release, 7)
  assert.is((await ask('/buildpacks/acme%2Fknown/readme')).json.content, 'aGk=')
  assert.is((await ask('/buildpacks/heroku%2Fprocfile')).json.blob_url, 'urn:buildpack:heroku/procfile')
  assert.is((await ask('/buildpacks/acme%2Ffolder')).json.description, "From this platform's own buildpacks")
})

test("a search finds the operator's, the registry's and the bundled ones, each once", async () => {
  const names = (await ask('/buildpacks')).json.map((one: typeof entry) => `${one.namespace}/${one.name}`)
  for (const name of ['acme/folder', 'acme/known', 'heroku/nodejs', 'heroku/procfile'])
    assert.is(names.filter((one: string) => one === name).length, 1, name)
  assert.not(names.some((name: string) => name.includes('evil')))
  const found = (await ask('/buildpacks?like[description]=every')).json
  assert.equal(
    found.map(({ name }: { name: string }) => name),
    ['known'],
  )
})

test("what nobody knows is not found; what may be somebody's cannot be told now. Either is named, for the client to send on", async () => {
  const unknown = await ask('/buildpacks/heroku%2Fcobol')
  assert.equal([unknown.status, unknown.json.id], [404, 'not_found'])
  assert.is(unknown.json.blob_url, 'urn:buildpack:heroku/cobol')
  served.down = true
  const untold = await ask('/buildpacks/heroku%2Ffortran')
  assert.equal(
    [untold.status, untold.json.message],
    [503, 'The buildpack registry cannot be reached. Try again later.'],
  )
  assert.is((await ask('/buildpacks/heroku%2Fnodejs')).status, 200)
  assert.is((await ask('/buildpacks/%2E%2E%2F%2E%2E')).status, 404)
})

test('an app gets buildpacks that are known, or of which that cannot be told now', async () => {
  await newApp('packed')
  assert.is((await put('packed', 'acme/known', 'acme/folder', 'heroku/procfile')).status, 200)
  const refused = await put('packed', 'acme/known', 'heroku/cobol')
  assert.is(refused.status, 422)
  assert.match(refused.json.message, /^heroku\/cobol is not in the buildpack registry\. See `heroku buildpacks:search`/)
  assert.equal(await listed('packed'), [
    'urn:buildpack:acme/known',
    'urn:buildpack:acme/folder',
    'urn:buildpack:heroku/procfile',
  ])
  served.down = true
  now += 10 * 60_000
  assert.is((await put('packed', 'heroku/cobol')).status, 200)
  served.down = false
  now += 10 * 60_000
  // What is set already is sent back with one more, and need not be known any more.
  assert.is((await put('packed', 'heroku/cobol', 'https://example.com/a.git')).status, 200)
})

test('user, password and query of a URL are for those who may deploy', async () => {
  await newApp('secretive')
  const url = 'https://me:pass@example.com/a.tgz?signature=s3cret'
  await put('secretive', url)
  assert.equal(await listed('secretive'), [url])
  const { token } = await host.invite('viewer@example.com')
  await host.request('POST', '/apps/secretive/collaborators', { body: { user: 'viewer@example.com' } })
  await d.db.updateTable('collaborators').set({ permissions: '["view"]' }).execute()
  assert.equal(await listed('secretive', token), ['https://example.com/a.tgz'])
})

test('a build tells the version of each buildpack; a commit in the form that buildpacks:set takes', async () => {
  await newApp('pinned')
  const git = await served.add('pinned', { 'bin/compile': 'x' })
  const archive = await served.addArchive('pinned.tgz', { 'bin/compile': 'x' })
  const source = join(folder, 'Procfile')
  await writeFile(source, 'web: x\n')
  const body = execFileSync('tar', ['-C', folder, '-czf', '-', 'Procfile'])
  const build = async (...buildpacks: string[]) => {
    const { source_blob } = (await host.request('POST', '/sources')).json
    await fetch(source_blob.put_url, { method: 'PUT', body })
    const { json } = await host.request('POST', '/apps/pinned/builds', {
      body: { source_blob: { url: source_blob.get_url }, buildpacks: buildpacks.map((url) => ({ url })) },
    })
    await (await fetch(json.output_stream_url)).text()
    return (await host.request('GET', `/apps/pinned/builds/${json.id}`)).json.buildpacks
  }
  const commit = await served.git('pinned', 'rev-parse', 'HEAD')
  assert.equal(await build(`${git}#main`), [{ url: `${git}#${commit}`, name: `${git}#main`, revision: commit }])
  const bytes = Buffer.from(await (await fetch(archive)).arrayBuffer())
  const revision = createHash('sha256').update(bytes).digest('hex')
  assert.equal(await build(`${archive}?token=x`), [{ url: archive, name: archive, revision }])
  const [named] = await build('heroku/procfile')
  assert.equal([named.url, named.name], ['urn:buildpack:heroku/procfile', 'heroku/procfile'])
  assert.match(named.revision, /^[0-9a-f]{64}$/)
})

test.run()
