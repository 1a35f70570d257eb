import { execFileSync } from 'node:child_process'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { idLabel } from './engine.ts'
import { startLoad } from './load.ts'
import { nodeApp } from './node-app.ts'
import { startPlatform } from './platform.ts'
import { waitFor } from './wait.ts'

const platform = await startPlatform()
test.after(() => platform.stop())
const { api } = platform

interface Build {
  id: string
  status: string
  output_stream_url: string
  slug: { id: string } | null
  release: { id: string } | null
}

/** A working copy as an archive, sent by the link that the platform gives for it. */
async function upload(files: Record<string, string>): Promise<string> {
  const source = await platform.createSource(files)
  const body = execFileSync('git', ['-C', source.dir, 'archive', '--format=tar.gz', 'HEAD'])
  const { source_blob } = await api<{ source_blob: { get_url: string; put_url: string } }>('POST', '/sources')
  assert.is((await fetch(source_blob.put_url, { method: 'PUT', body })).status, 200)
  return source_blob.get_url
}

const build = (app: string, url: string, version: string) =>
  api<Build>('POST', `/apps/${app}/builds`, { source_blob: { url, version } })
const ended = async (app: string, begun: Build): Promise<{ text: string; build: Build }> => {
  const text = await (await fetch(begun.output_stream_url)).text()
  return { text, build: await api<Build>('GET', `/apps/${app}/builds/${begun.id}`) }
}

test('a source that is sent to the API is built and served, and the next one replaces it without a failed request', async () => {
  await platform.createApp('sent')
  const first = await ended('sent', await build('sent', await upload(nodeApp('hello from a source')), 'v1'))
  assert.is(first.build.status, 'succeeded', first.text)
  assert.match(first.text, /-----> Node\.js app detected/)
  assert.match(first.text, /Verifying deploy\.\.\. done\./)
  assert.is((await platform.request('sent')).body, 'hello from a source\n')
  const load = startLoad(platform.ports.http, 'sent.localhost', ({ body }) => body.startsWith('hello'))
  const second = await ended('sent', await build('sent', await upload(nodeApp('hello again')), 'v2'))
  assert.is(second.build.status, 'succeeded', second.text)
  const { failures } = await load.stop()
  assert.equal(failures, [])
  assert.is((await platform.request('sent')).body, 'hello again\n')
})

test('a build whose release does not come up says why, and the old release serves on', async () => {
  const broken = { ...nodeApp('broken'), Procfile: 'web: sh -c "echo no good; exit 3"\n' }
  const { text } = await ended('sent', await build('sent', await upload(broken), 'bad'))
  assert.match(text, /no good/)
  assert.match(text, /Push failed/)
  assert.is((await platform.request('sent')).body, 'hello again\n')
})

const building = async (build: Build) =>
  (await platform.containers()).find(({ Labels }) => Labels[idLabel] === build.id)

/** One whose container runs, and does so for ten minutes. */
async function slowBuild(version: string): Promise<Build> {
  const begun = await build('sent', await upload(nodeApp(version, 'sleep 600')), version)
  await waitFor('the build to be under way', () => building(begun))
  return begun
}

test('a canceled build ends its container', async () => {
  const begun = await slowBuild('slow')
  const canceled = await api<Build>('DELETE', `/apps/sent/builds/${begun.id}`)
  assert.is(canceled.status, 'failed')
  assert.match((await ended('sent', begun)).text, /The build was canceled by/)
  assert.is(await building(begun), undefined)
})

test('a daemon that is killed during a build has failed it when it is back, and builds the next', async () => {
  const begun = await slowBuild('killed')
  await platform.daemon.kill()
  await platform.startDaemon()
  assert.is((await api<Build>('GET', `/apps/sent/builds/${begun.id}`)).status, 'failed')
  const next = await ended('sent', await build('sent', await upload(nodeApp('after the crash')), 'v3'))
  assert.is(next.build.status, 'succeeded', next.text)
  assert.is((await platform.request('sent')).body, 'after the crash\n')
})

test('a slug that one app built runs in another, where its release command can be retried by the CLI', async () => {
  const files = { ...nodeApp('from a slug'), Procfile: 'web: node server.js\nrelease: echo "migrated by $DYNO"\n' }
  const built = await ended('sent', await build('sent', await upload(files), 'slug'))
  assert.is(built.build.status, 'succeeded', built.text)
  type Slug = { id: string; process_types: object; blob: { url: string } }
  const { blob, process_types } = await api<Slug>('GET', `/apps/sent/slugs/${built.build.slug?.id}`)
  const archive = Buffer.from(await (await fetch(blob.url)).arrayBuffer())
  await platform.createApp('copied')
  const slug = await api<Slug>('POST', '/apps/copied/slugs', { process_types })
  assert.is((await fetch(slug.blob.url, { method: 'PUT', body: archive })).status, 200)
  await api('POST', '/apps/copied/releases', { slug: slug.id })
  await waitFor('the slug to serve', async () => (await platform.request('copied')).body === 'from a slug\n')
  const { code, output } = await platform.heroku(['releases:retry', '--app', 'copied'])
  assert.is(code, 0, output)
  assert.match(output, /migrated by release\.\d+/)
})

test('clients of an app with session affinity stay with one dyno', async () => {
  await platform.deploy('sticky')
  await api('PATCH', '/apps/sticky/formation', { updates: [{ type: 'web', quantity: 3 }] })
  await api('PATCH', '/apps/sticky/features/http-session-affinity', { enabled: true })
  const dynoOf = async (cookie?: string) => {
    const reply = await platform.request('sticky', '/env', cookie ? { headers: { cookie } } : {})
    return { dyno: JSON.parse(reply.body).DYNO as string, cookie: reply.headers['set-cookie']?.[0]?.split(';')[0] }
  }
  await waitFor('three dynos to answer', async () => {
    const seen = new Set<string>()
    for (let n = 0; n < 30; n++) seen.add((await dynoOf()).dyno)
    return seen.size === 3
  })
  const first = await dynoOf()
  assert.match(first.cookie ?? '', /^heroku-session-affinity=/)
  for (let n = 0; n < 20; n++) assert.is((await dynoOf(first.cookie)).dyno, first.dyno)
})

test('dyno metadata is in the environment of the next release', async () => {
  await api('PATCH', '/apps/sticky/features/runtime-dyno-metadata', { enabled: true })
  await api('PATCH', '/apps/sticky/config-vars', { A: '1' })
  await waitFor('the release with metadata to serve', async () => {
    const env = JSON.parse((await platform.request('sticky', '/env')).body)
    assert.equal([env.HEROKU_APP_NAME, env.HEROKU_RELEASE_VERSION], ['sticky', 'v3'])
    return assert.match(env.HEROKU_BUILD_COMMIT, /^[0-9a-f]{40}$/) ?? true
  })
})

test.run()
