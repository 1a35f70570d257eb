import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { failInterrupted } from '../../daemon/build/build.ts'
import { slugArchive as slugArchivePath, slugTree } from '../../daemon/store/slug-path.ts'
import { createCompiler } from './compiler.ts'
import { startHost } from './host.ts'

const host = await startHost()
const { d } = host
const compiler = createCompiler()
d.engine = compiler.engine
const folder = await mkdtemp(join(tmpdir(), 'sluice-builds-'))
test.after(async () => {
  await host.close()
  await rm(folder, { recursive: true, force: true })
})

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape
type Json = any

async function send(method: string, path: string, body?: unknown, token?: string): Promise<Json> {
  const { status, json } = await host.request(method, path, { body, ...(token ? { token } : {}) })
  assert.ok(status < 300, `${method} ${path}: ${status} ${JSON.stringify(json)}`)
  return json
}

async function refused(status: number, words: RegExp, method: string, path: string, body?: unknown) {
  const answer = await host.request(method, path, { body })
  assert.is(answer.status, status, JSON.stringify(answer.json))
  assert.match(answer.json.message, words)
}

/** A source of one Procfile, sent to the platform. */
async function source(procfile: string): Promise<{ url: string; checksum: string }> {
  await writeFile(join(folder, 'Procfile'), procfile)
  const archive = execFileSync('tar', ['-C', folder, '--mtime=@0', '-czf', '-', 'Procfile'])
  const { source_blob } = await send('POST', '/sources')
  assert.is((await fetch(source_blob.put_url, { method: 'PUT', body: archive })).status, 200)
  return { url: source_blob.get_url, checksum: `SHA256:${createHash('sha256').update(archive).digest('hex')}` }
}

/** The output of a build, to its end. */
const output = async ({ output_stream_url }: Json): Promise<string> => (await fetch(output_stream_url)).text()

const newApp = (name: string): Promise<Json> => send('POST', '/apps', { name })
const build = (app: string, blob: object, more: object = {}): Promise<Json> =>
  send('POST', `/apps/${app}/builds`, { source_blob: blob, ...more })

function hold(): () => void {
  let release = () => {}
  compiler.hold = new Promise((resolve) => {
    release = resolve
  })
  return () => {
    compiler.hold = undefined
    release()
  }
}

test('a build of an uploaded source is pending at once, says what it does, and becomes the release that serves', async () => {
  await newApp('built')
  const blob = { ...(await source('web: node server.js\n')), version: 'abcdef0123456', version_description: 'first' }
  const begun = await build('built', blob)
  assert.is(begun.status, 'pending')
  assert.equal(begun.source_blob, blob)
  const text = await output(begun)
  assert.match(text, /-----> Building on the Heroku-24 stack.*compiled.*Released v2.*Verifying deploy... done/s)
  const done = await send('GET', `/apps/built/builds/${begun.id}`)
  assert.is(done.status, 'succeeded')
  const release = await send('GET', `/apps/built/releases/${done.release.id}`)
  assert.equal([release.version, release.description, release.status], [2, 'Deploy abcdef01', 'succeeded'])
  assert.is(release.slug.id, done.slug.id)
  const slug = await send('GET', `/apps/built/slugs/${done.slug.id}`)
  assert.equal([slug.commit, slug.commit_description], ['abcdef0123456', 'first'])
  const logs = d.logs.recent(done.app.id, {}, 100).map(({ text }) => text)
  assert.ok(logs.includes('Build started by user admin@example.com') && logs.includes('Build succeeded'))
  const audit = await d.db.selectFrom('activities').select('text').where('app_id', '=', done.app.id).execute()
  assert.ok(audit.some(({ text }) => text === `Started build ${begun.id}`))
})

test('a build without version is released all the same; builds are listed newest first by range', async () => {
  const begun = await build('built', { url: (await source('web: other\n')).url })
  await output(begun)
  const [release] = (
    await host.request('GET', '/apps/built/releases', { headers: { range: 'version ..; order=desc,max=1' } })
  ).json
  assert.equal([release.version, release.description], [3, 'Deploy'])
  const list = await host.request('GET', '/apps/built/builds', {
    headers: { range: 'created_at ..; max=1, order=desc' },
  })
  assert.equal([list.status, list.json.length, list.json[0].id], [206, 1, begun.id])
})

test('the same source is not compiled twice, unless the cache is purged', async () => {
  const blob = await source('web: same\n')
  await output(await build('built', blob))
  const { builds } = compiler
  assert.match(await output(await build('built', blob)), 'Reusing slug of v4')
  assert.is(compiler.builds, builds)
  await writeFile(join(d.config.data, 'cache', (await send('GET', '/apps/built')).id, 'kept'), '')
  await send('DELETE', '/apps/built/build-cache')
  assert.not.ok((await readdir(join(d.config.data, 'cache'))).length)
  assert.match(await output(await build('built', blob)), 'compiled')
  assert.is(compiler.builds, builds + 1)
})

test('buildpacks that a build names are used for that build only', async () => {
  await send('PUT', '/apps/built/buildpack-installations', { updates: [{ buildpack: 'heroku/nodejs' }] })
  await output(await build('built', await source('web: packs\n'), { buildpacks: [{ name: 'heroku/procfile' }] }))
  assert.is(compiler.buildpacks, 'heroku/procfile\n')
  await output(await build('built', await source('web: others\n')))
  assert.is(compiler.buildpacks, 'heroku/nodejs\n')
  const [installed] = await send('GET', '/apps/built/buildpack-installations')
  assert.is(installed.buildpack.name, 'heroku/nodejs')
})

test('one build of an app goes on at a time; others, and purging, are refused with 409', async () => {
  const go = hold()
  const blob = await source('web: slow\n')
  const slow = await build('built', blob)
  await refused(409, /Another build of built is in progress/, 'POST', '/apps/built/builds', { source_blob: blob })
  await refused(409, /in progress/, 'DELETE', '/apps/built/build-cache')
  await newApp('neighbour')
  go()
  await output(await build('neighbour', blob))
  await output(slow)
})

test('a canceled build says so in its transcript and row, and leaves the app as it was', async () => {
  const go = hold()
  const before = (await send('GET', '/apps/built/releases')).length
  const slow = await build('built', await source('web: canceled\n'))
  const canceled = await send('DELETE', `/apps/built/builds/${slow.id}`)
  go()
  assert.is(canceled.status, 'failed')
  assert.match(await output(slow), 'The build was canceled by admin@example.com.')
  assert.is((await send('GET', '/apps/built/releases')).length, before)
  await refused(422, /it has failed/, 'DELETE', `/apps/built/builds/${slow.id}`)
  await output(await build('built', await source('web: again\n')))
})

test('a source that cannot be used fails its build in words', async () => {
  const { url } = await source('web: x\n')
  const wrong = await build('built', { url, checksum: `SHA256:${'0'.repeat(64)}` })
  assert.match(await output(wrong), /The checksum of the source is SHA256:[0-9a-f]{64}, not SHA256:0000/)
  assert.is((await send('GET', `/apps/built/builds/${wrong.id}`)).status, 'failed')
  const away = await build('built', { url: 'http://127.0.0.1:1/x.tgz?token=s3cret' })
  assert.match(await output(away), 'The source at http://127.0.0.1:1 cannot be fetched: the address is not one')
  assert.not.match(JSON.stringify(host.logged), 's3cret')
  const { source_blob } = await send('POST', '/sources')
  await fetch(source_blob.put_url, { method: 'PUT', body: 'not a tar' })
  assert.match(await output(await build('built', { url: source_blob.get_url })), 'neither a tar nor a tar.gz')
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'a'.repeat(64)}\nsize 1\n`
  const lfs = await output(await build('built', await source(pointer)))
  assert.match(
    lfs,
    ' !     Git LFS has replaced files of this source by pointers, and what they point to is not here: Procfile.',
  )
})

test('a bad request for a build is refused before there is one', async () => {
  const blob = await source('web: x\n')
  const ask = (source_blob: unknown, more = {}) => ['POST', '/apps/built/builds', { source_blob, ...more }] as const
  await refused(422, /source_blob/, ...ask(undefined))
  await refused(422, /URL of the source is not valid/, ...ask({ url: 'file:///etc/passwd' }))
  await refused(422, /must be SHA256/, ...ask({ ...blob, checksum: 'x' }))
  await refused(422, /version/, ...ask({ ...blob, version: 'x'.repeat(201) }))
  await refused(422, /control characters/, ...ask({ ...blob, version: 'a\nb' }))
  await refused(
    422,
    /heroku\/cobol is not in the buildpack registry/,
    ...ask(blob, { buildpacks: [{ name: 'heroku/cobol' }] }),
  )
  await refused(404, /build/, 'GET', '/apps/built/builds/nope')
})

test('those who may not deploy do not see what may be secret in the URL of a source', async () => {
  const url = 'http://me:pass@127.0.0.1:1/app.tgz?token=s3cret'
  const begun = await build('built', { url })
  await output(begun)
  assert.is((await send('GET', `/apps/built/builds/${begun.id}`)).source_blob.url, url)
  const { publicSource } = await import('../../daemon/build/source/download.ts')
  assert.is(publicSource(url), 'http://127.0.0.1:1/app.tgz')
  const stored = await d.db.selectFrom('builds').select('source_url').where('id', '=', begun.id).executeTakeFirst()
  assert.not.match(Buffer.from(stored?.source_url ?? '', 'base64').toString('latin1'), 's3cret')
})

test('a daemon that dies during a build has failed it when it starts again', async () => {
  await newApp('crashed')
  const now = Date.now()
  const { id } = await send('GET', '/apps/crashed')
  const owner = await d.db.selectFrom('accounts').select('id').executeTakeFirstOrThrow()
  const row = { id: crypto.randomUUID(), app_id: id, account_id: owner.id, status: 'pending', version: null } as const
  await d.db
    .insertInto('builds')
    .values({ ...row, stack: 'heroku-24', buildpacks: '[]', created_at: now, updated_at: now })
    .execute()
  d.engine = { sweepBuilds: async () => {}, images: compiler.engine.images } as unknown as typeof d.engine
  await failInterrupted(d)
  d.engine = compiler.engine
  assert.is((await send('GET', `/apps/crashed/builds/${row.id}`)).status, 'failed')
})

/** A slug as Heroku's are: `./app/` at the root. */
async function slugArchive(files: Record<string, string>, top = 'app'): Promise<Buffer> {
  const place = await mkdtemp(join(folder, 'slug-'))
  execFileSync('mkdir', [join(place, top)])
  for (const [name, text] of Object.entries(files)) await writeFile(join(place, top, name), text)
  return execFileSync('tar', ['-C', place, '-czf', '-', `./${top}`])
}
const put = (url: string, body: Buffer | string) => fetch(url, { method: 'PUT', body })

test('a slug that was made elsewhere is sent, released and served, and can be fetched', async () => {
  await newApp('slugged')
  const archive = await slugArchive({ 'server.js': 'hello' })
  const checksum = `SHA256:${createHash('sha256').update(archive).digest('hex')}`
  const wanted = { process_types: { web: 'node server.js' }, commit: '0123456789abc', checksum }
  const slug = await send('POST', '/apps/slugged/slugs', { ...wanted, buildpack_provided_description: 'Ruby/Rack' })
  assert.equal([slug.blob.method, slug.size, slug.stack.name], ['put', null, 'heroku-24'])
  await refused(422, /has not been sent yet/, 'POST', '/apps/slugged/releases', { slug: slug.id })
  assert.is((await put(slug.blob.url, archive)).status, 200)
  const sent = await send('GET', `/apps/slugged/slugs/${slug.id}`)
  assert.equal([sent.blob.method, sent.checksum, sent.size > 0], ['get', checksum, true])
  const tree = slugTree(d.config, slug.id)
  assert.is(await readFile(join(tree, 'server.js'), 'utf8'), 'hello')
  const back = Buffer.from(await (await fetch(sent.blob.url)).arrayBuffer())
  assert.is(execFileSync('tar', ['-tzf', '-'], { input: back }).toString(), './app/\n./app/server.js\n')
  const release = await send('POST', '/apps/slugged/releases', { slug: slug.id })
  assert.equal([release.version, release.description, release.slug.id], [2, 'Deploy 01234567', slug.id])
  await host.settled()
  assert.is((await send('GET', '/apps/slugged')).buildpack_provided_description, 'Ruby/Rack')
  assert.equal(
    (await send('GET', '/apps/slugged/formation')).map(({ type }: Json) => type),
    ['web'],
  )
  const named = await send('POST', '/apps/slugged/releases', { slug: slug.id, description: 'by hand' })
  assert.is(named.description, 'by hand')
  await newApp('thief')
  await refused(404, /slug/, 'POST', '/apps/thief/releases', { slug: slug.id })
  assert.is((await put(slug.blob.url, archive)).status, 409)
})

test('who may not deploy is told of a slug, but gets no link that opens it', async () => {
  const { account, token } = await host.invite('viewer@example.com')
  await send('POST', '/apps/slugged/collaborators', { user: account.email })
  await d.db
    .updateTable('collaborators')
    .set({ permissions: '["view"]' })
    .where('account_id', '=', account.id)
    .execute()
  const [release] = (await send('GET', '/apps/slugged/releases')).reverse()
  const path = `/apps/slugged/slugs/${release.slug.id}`
  const seen = await send('GET', path, undefined, token)
  assert.is(seen.commit, '0123456789abc')
  assert.is((await fetch(seen.blob.url)).status, 404)
  assert.is((await fetch((await send('GET', path)).blob.url)).status, 200)
})

test('a slug that cannot be read to its end is not sent as if it were whole', async () => {
  const [release] = (await send('GET', '/apps/slugged/releases')).reverse()
  const { blob } = await send('GET', `/apps/slugged/slugs/${release.slug.id}`)
  const path = slugArchivePath(d.config, release.slug.id)
  const whole = await readFile(path)
  await writeFile(path, whole.subarray(0, -4))
  const sent = await fetch(blob.url)
    .then((answer) => answer.arrayBuffer())
    .then(
      () => 'whole',
      () => 'broken off',
    )
  await writeFile(path, whole)
  assert.is(sent, 'broken off')
})

test('what is no slug is refused in words, leaves nothing, and may be sent again', async () => {
  const slug = await send('POST', '/apps/slugged/slugs', { process_types: { web: 'x' } })
  const refuse = async (archive: Buffer | string, status: number, words: RegExp) => {
    const answer = await put(slug.blob.url, archive)
    assert.is(answer.status, status)
    assert.match(((await answer.json()) as Json).message, words)
    assert.not.ok((await readdir(join(d.config.data, 'slugs'))).includes(slug.id))
  }
  await refuse('hello', 422, /neither a tar nor a tar.gz/)
  await refuse('', 422, /It is empty/)
  await refuse(await slugArchive({ x: '1' }, 'elsewhere'), 422, /must be in the folder \.\/app/)
  await writeFile(join(folder, 'evil.py'), EVIL)
  const evil = execFileSync('python3', [join(folder, 'evil.py')], { encoding: 'buffer' })
  await refuse(evil, 422, /is behind a symbolic link/)
  const [first, second] = await Promise.all([
    put(slug.blob.url, await slugArchive({ a: '1' })),
    put(slug.blob.url, await slugArchive({ b: '1' })),
  ])
  assert.equal([first.status, second.status].sort(), [200, 409])
  const wrong = await send('POST', '/apps/slugged/slugs', { process_types: {}, checksum: `SHA256:${'1'.repeat(64)}` })
  assert.is((await put(wrong.blob.url, await slugArchive({ a: '1' }))).status, 422)
})

/** A file that would be written through a link out of the archive. */
const EVIL = `
import io, sys, tarfile
out = tarfile.open(fileobj=sys.stdout.buffer, mode='w|gz')
link = tarfile.TarInfo('./app/out'); link.type = tarfile.SYMTYPE; link.linkname = '/tmp'
out.addfile(link)
file = tarfile.TarInfo('./app/out/x'); file.size = 1
out.addfile(file, io.BytesIO(b'x'))
out.close()
`

test('a bad slug is refused before it is made', async () => {
  const ask = (body: object) => ['POST', '/apps/slugged/slugs', body] as const
  await refused(422, /process_types/, ...ask({}))
  await refused(422, /cannot be a process type/, ...ask({ process_types: { run: 'x' } }))
  await refused(422, /cannot be a process type/, ...ask({ process_types: { 'a b': 'x' } }))
  await refused(422, /command of web/, ...ask({ process_types: { web: ' ' } }))
  await refused(422, /must be SHA256/, ...ask({ process_types: {}, checksum: 'md5:x' }))
  await refused(422, /Stack .* is not available/, ...ask({ process_types: {}, stack: 'cedar-14' }))
})

test('slugs that are never released go after a day, released ones stay', async () => {
  const { now } = d.clock
  d.clock.now = () => now() + 24 * 3_600_000 + 1
  const { sweepSlugs } = await import('../../daemon/build/slug/slug.ts')
  await sweepSlugs(d)
  d.clock.now = now
  const { id } = await send('GET', '/apps/slugged')
  const left = await d.db.selectFrom('slugs').select('id').where('app_id', '=', id).execute()
  assert.is(left.length, 1)
  const folders = await readdir(join(d.config.data, 'slugs'))
  assert.ok(folders.includes(left[0]?.id ?? ''))
  assert.is(folders.length, (await d.db.selectFrom('slugs').select('files').distinct().execute()).length)
})

test.run()
