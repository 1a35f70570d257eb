import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createCompiler } from '../api/compiler.ts'
import { serveBuildpacks } from '../integration/buildpack-server.ts'
import { type Rig, startRig } from './rig.ts'

/** The registry that this platform's own passes questions on to. */
const registry = await serveBuildpacks()
const rig: Rig = await startRig({ SLUICE_BUILDPACK_REGISTRY: registry.url('registry') })
const { heroku, refused, host, home } = rig
test.after(async () => {
  await rig.close()
  await registry.close()
})
const compiler = createCompiler()
host.d.engine = compiler.engine
await host.request('POST', '/apps', { body: { name: 'demo' } })

/** Sends a source to the platform and waits for its build. */
async function build(procfile: string, version: string): Promise<string> {
  await writeFile(join(home, 'Procfile'), procfile)
  const body = execFileSync('tar', ['-C', home, '-czf', '-', 'Procfile'])
  const { json } = await host.request('POST', '/sources')
  await fetch(json.source_blob.put_url, { method: 'PUT', body })
  const source_blob = { url: json.source_blob.get_url, version }
  const { json: begun } = await host.request('POST', '/apps/demo/builds', { body: { source_blob } })
  return (await fetch(begun.output_stream_url)).text()
}

test('heroku releases tells of a build that the API was asked for', async () => {
  assert.match(await build('web: node server.js\nrelease: migrate\n', 'abcdef012345'), 'Verifying deploy... done.')
  assert.match(await heroku('releases -a demo'), /v2 +Deploy abcdef01 +admin@example\.com/)
  const info = await heroku('releases:info v2 -a demo')
  assert.match(info, /=== Release v2/)
  assert.match(info, /Change: +Deploy abcdef01/)
})

test('heroku releases:retry releases the same slug again, with its release command', async () => {
  const retried = await heroku('releases:retry -a demo')
  assert.match(retried, 'Retrying v2 on demo... done, v3')
  assert.match(retried, 'Running release command...')
  assert.match(await heroku('releases:info v3 -a demo'), /Change: +Retry of v2: Deploy abcdef01/)
})

test('heroku releases:output and releases:rollback', async () => {
  const release = await host.d.db.selectFrom('releases').select('id').where('version', '=', 3).executeTakeFirstOrThrow()
  const transcript = await host.d.transcripts.open(`release-${release.id}`)
  transcript.write('migrated\n')
  await transcript.end()
  assert.match(await heroku('releases:output v3 -a demo'), 'migrated')
  assert.match(await heroku('releases:rollback v2 -a demo'), 'Rolling back demo to v2... done, v4')
  assert.match(await refused('releases:rollback v1 -a demo'), 'Cannot roll back to v1: it has no code')
})

test('heroku releases:retry sets what was set with a release command that failed', async () => {
  const { version } = (
    await host.request('GET', '/apps/demo/releases', { headers: { range: 'version ..; order=desc' } })
  ).json[0]
  await heroku('config:set MODE=2 -a demo')
  await host.d.db
    .updateTable('rollouts')
    .set({ state: 'failed' })
    .where('version', '=', version + 1)
    .execute()
  assert.not.match(await heroku('config -a demo'), 'MODE')
  const retried = await heroku('releases:retry -a demo')
  assert.match(retried, `Retrying v${version + 1} on demo... done, v${version + 2}`)
  assert.match(await heroku('config -a demo'), /^MODE: +2$/m)
})

test('heroku buildpacks decides what the next build uses', async () => {
  assert.match(await heroku('buildpacks:set heroku/procfile -a demo'), 'will use heroku/procfile.')
  assert.match(await build('web: again\n', 'v2'), 'Verifying deploy... done.')
  assert.is(compiler.buildpacks, 'heroku/procfile\n')
  assert.match(await heroku('buildpacks:add https://example.com/b.git -a demo'), '2. https://example.com/b.git')
  assert.match(await heroku('buildpacks:remove heroku/procfile -a demo'), 'Buildpack removed.')
  assert.match(await heroku('buildpacks -a demo'), /^https:\/\/example\.com\/b\.git$/m)
  assert.match(await heroku('buildpacks:clear -a demo'), 'Buildpacks cleared.')
})

test('heroku buildpacks:search, buildpacks:info and buildpacks:versions know the bundled ones', async () => {
  assert.match(await heroku('buildpacks:search node'), /heroku\/nodejs +languages/)
  assert.match(await heroku('buildpacks:info heroku/nodejs'), /description: +Node\.js with npm, yarn or pnpm/)
  assert.match(await heroku('buildpacks:versions heroku/nodejs'), /1 +\S+ +published/)
  assert.match(await refused('buildpacks:info heroku/cobol'), "Could not find the buildpack 'heroku/cobol'")
})

test('heroku buildpacks takes every name that the registry knows, and no other', async () => {
  const blob_url = await registry.addArchive('known.tgz', { 'bin/compile': 'x' })
  const support = { method: 'email', address: 'mailto:tools@acme.example' }
  const says = (path: string, body: unknown) =>
    registry.answers.set(`/registry/buildpacks/acme%2Fknown${path}`, (_, res) => res.end(JSON.stringify(body)))
  says('', {
    namespace: 'acme',
    name: 'known',
    description: 'From Acme',
    category: 'tools',
    blob_url,
    support,
    source: {},
  })
  says('/revisions', [{ release: 3, created_at: '2026-01-02T03:04:05Z', status: 'published', license: 'ISC' }])
  says('/readme', { content: 'aGVsbG8=', encoding: 'base64' })
  const info = await heroku('buildpacks:info acme/known')
  for (const words of [/description: +From Acme/, /license: +ISC/, /support: +tools@acme\.example/, /hello/])
    assert.match(info, words)
  assert.match(await heroku('buildpacks:set acme/known -a demo'), /Next release on .*demo will use acme\/known\./)
  assert.match(await heroku('buildpacks -a demo'), /^acme\/known$/m)
  assert.match(
    await refused('buildpacks:add heroku/cobol -a demo'),
    /heroku\/cobol is not in the buildpack registry\. See `heroku buildpacks:search`/,
  )
  assert.match(
    await refused('buildpacks:add acme/known -a demo'),
    'The buildpack acme/known is already set on your app.',
  )
  assert.match(
    await heroku('buildpacks:remove acme/known -a demo'),
    /Next release on .*demo will detect buildpacks normally\./,
  )
  await heroku('config:set BUILDPACK_URL=heroku/procfile -a demo')
  assert.match(await heroku('buildpacks:clear -a demo'), /The BUILDPACK_URL config var is still set/)
  assert.match(await build('web: legacy\n', 'v9'), / ! {5}Warning: The BUILDPACK_URL config var is deprecated/)
  assert.is(compiler.buildpacks, 'heroku/procfile\n')
  await heroku('config:unset BUILDPACK_URL -a demo')
})

test('heroku stack, apps:stacks and stack:set choose what the next build is made for', async () => {
  assert.match(await heroku('stack -a demo'), '* heroku-24')
  const set = await heroku('stack:set heroku-26 -a demo')
  assert.match(set, 'Setting stack to heroku-26... done')
  assert.match(set, 'You will need to redeploy demo for the change to take effect.')
  assert.match(await build('web: on 26\n', 'v3'), 'Building on the Heroku-26 stack')
  assert.match(await heroku('apps:stacks -a demo'), '* heroku-26')
  assert.match(await heroku('apps:stacks:set heroku-24 -a demo'), 'Setting stack to heroku-24... done')
  assert.match(await refused('stack:set cedar-14 -a demo'), 'Stack cedar-14 is not available')
})

test('heroku apps:diff compares slugs, config and buildpacks', async () => {
  await host.request('POST', '/apps', { body: { name: 'other' } })
  await host.request('PATCH', '/apps/other/config-vars', { body: { GREETING: 'hello' } })
  const diff = await heroku('apps:diff demo other')
  assert.match(diff, /SHA256:[0-9a-f.]+ +slug \(checksum\)/)
  assert.match(diff, /config \(GREETING\) +hello/)
})

test.run()
