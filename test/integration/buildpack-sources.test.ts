import { execFileSync } from 'node:child_process'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { accountNamed } from '../../daemon/account/account.ts'
import { listInstallations, replaceInstallations } from '../../daemon/app/buildpack.ts'
import { purgeCache } from '../../daemon/build/slug/cache.ts'
import { changeConfig } from '../../daemon/release/config.ts'
import { startRig } from './build-rig.ts'
import { type Served, serveBuildpacks } from './buildpack-server.ts'

/** Builds with buildpacks from elsewhere; what is fetched, and when, is in buildpack-fetch.test.ts and buildpack-names.test.ts. */
const rig = await startRig()
const account = await accountNamed(rig.d.db, rig.d.config.adminEmail)
if (!account) throw new Error('there is no administrator')
let served: Served
test.before(async () => {
  served = await serveBuildpacks()
})
test.before.each(() => {
  served.down = false
})
test.after(async () => {
  await served.close()
  await rig.close()
})

const pack = (says: string) => ({
  'bin/detect': '#!/usr/bin/env bash\necho Probe\n',
  'bin/compile': `#!/usr/bin/env bash\necho "${says}"\n`,
})
const source = { Procfile: 'web: true\n' }
const record = async (app: { id: string }) => {
  const { buildpacks } = await rig.d.db
    .selectFrom('builds')
    .select('buildpacks')
    .where('app_id', '=', app.id)
    .orderBy('created_at', 'desc')
    .executeTakeFirstOrThrow()
  return JSON.parse(buildpacks)
}

test('a git URL with a ref is built with, and the build records the commit', async () => {
  const url = await served.add('refs', pack('from a branch'), 'archive/v250')
  const app = await rig.app([`${url.replace('//', '//me:pass@')}#archive/v250`])
  const { output } = await rig.push(app, source)
  assert.match(output, /^-----> Using buildpack: http:\/\/127.*\/refs\.git#archive\/v250$/m)
  assert.match(output, /^from a branch$/m)
  assert.not.match(output, 'pass')
  const revision = await served.git('refs', 'rev-parse', 'HEAD')
  assert.equal(await record(app), [{ url: `${url}#archive/v250`, name: `${url}#archive/v250`, revision }])
  const missing = await rig.push(await rig.app([`${url}#nowhere`]), source)
  assert.match(missing.output, /cannot be fetched: it has no branch, tag or commit "nowhere"/)
})

test('archives of every kind are unpacked, with a folder around the buildpack or without, and without executable bits', async () => {
  const kinds = ['tar', 'tgz', 'tar.bz2', 'tar.xz', 'tar.zst']
  const urls = await Promise.all(
    kinds.map((kind, index) => served.addArchive(`a.${kind}`, pack(`from ${kind}`), { flat: index % 2 === 0 })),
  )
  const { output } = await rig.push(await rig.app(urls), source)
  for (const kind of kinds) assert.match(output, new RegExp(`^from ${kind.replace('.', '\\.')}$`, 'm'))
})

test('a URL of something that is no buildpack, no archive, or too many files is told', async () => {
  const many = 'cd "$(mktemp -d)" && touch a && yes a | head -n 50001 | tar -czf - -T - && rm -r "$PWD"'
  const answers = { 'page.tgz': '<html>', 'many.tgz': execFileSync('bash', ['-euc', many]) }
  for (const [path, body] of Object.entries(answers)) served.answers.set(`/${path}`, (_, res) => res.end(body))
  for (const [url, words] of [
    [await served.add('empty', { 'README.md': 'no' }), 'has no bin/compile.'],
    [served.url('page.tgz'), 'cannot be unpacked.'],
    [served.url('many.tgz'), 'has more than 50000 files.'],
  ] as const) {
    const { output } = await rig.push(await rig.app([url]), source)
    assert.match(output, `Push rejected. The buildpack ${url} ${words}`)
  }
})

test('a branch whose server cannot be asked is what it was, with a line that says so, until the cache is purged', async () => {
  const url = await served.add('offline', pack('offline'))
  const app = await rig.app([`${url}#main`])
  await rig.push(app, source)
  const revision = (await served.git('offline', 'rev-parse', 'HEAD')).slice(0, 8)
  served.down = true
  const { output } = await rig.push(app, { Procfile: 'web: false\n' })
  assert.match(
    output,
    new RegExp(`^       \\(${url}#main is as it was on [0-9-]+ \\(${revision}\\): the connection broke\\)$`, 'm'),
  )
  assert.match(output, /^offline$/m)
  await purgeCache(rig.d, app, account)
  assert.match((await rig.push(app, source)).output, /main cannot be fetched: the connection broke\./)
})

test('an app that names none keeps what its first build found, which need not fit what the app becomes', async () => {
  const app = await rig.app()
  const first = await rig.push(app, source)
  assert.match(first.output, '-----> Determining which buildpack to use for this app')
  assert.equal(await listInstallations(rig.d, app.id), [{ ordinal: 0, url: 'heroku/procfile' }])
  assert.match((await rig.push(app, source)).output, 'Reusing slug of v')
  const other = await rig.push(app, { 'package.json': '{}' })
  assert.match(other.output, '-----> Using buildpack: heroku/procfile')
  assert.match(other.output, '-----> App not compatible with buildpack: heroku/procfile')
})

test("an app that names none is tried with what the registry has in Heroku's order, or had when it could be reached", async () => {
  const blob_url = await served.addArchive('go.tgz', pack('official'))
  served.answers.set('/registry/buildpacks/heroku%2Fgo', (_, res) => res.end(JSON.stringify({ blob_url })))
  rig.d.config.buildpackRegistry = served.url('registry')
  const app = await rig.app()
  const { output } = await rig.push(app, source)
  assert.match(output, /^official$/m)
  assert.not.match(output, 'cannot be reached')
  assert.equal(await listInstallations(rig.d, app.id), [{ ordinal: 0, url: 'heroku/go' }])
  served.down = true
  const without = await rig.push(await rig.app(), source)
  assert.match(
    without.output,
    /^ {7}\(the buildpack registry cannot be reached; the buildpacks that are here: heroku\/nodejs, heroku\/python, heroku\/go, .*heroku\/procfile\)$/m,
  )
  assert.match(without.output, /^official$/m)
  rig.d.config.buildpackRegistry = undefined
})

test('a failed first build leaves the choice open', async () => {
  const app = await rig.app()
  await rig.push(app, { README: 'nothing' })
  await rig.push(app, { Procfile: 'web: true\nrelease: false\n', 'package.json': '{' })
  assert.equal(await listInstallations(rig.d, app.id), [])
})

test('BUILDPACK_URL is used in place of those that are set, with a warning', async () => {
  const url = await served.add('legacy', pack('by the config var'))
  const app = await rig.app(['heroku/nodejs'])
  await changeConfig(rig.d, app, account, { BUILDPACK_URL: url })
  const { output } = await rig.push(app, source)
  assert.match(
    output,
    ' !     Warning: The BUILDPACK_URL config var is deprecated, and used in place of the buildpacks that are set.',
  )
  assert.match(output, `-----> Using buildpack: ${url}`)
  assert.match(output, /^by the config var$/m)
  assert.equal(await listInstallations(rig.d, app.id), [{ ordinal: 0, url: 'heroku/nodejs' }])
  await changeConfig(rig.d, app, account, { BUILDPACK_URL: 'ssh://x/y' })
  assert.match((await rig.push(app, source)).output, 'A buildpack is fetched by https:// or http:// only')
})

test('what a URL holds that may be secret is sealed in the database, and rows from before are read', async () => {
  const app = await rig.app()
  const url = 'https://me:s3cret@example.com/a.git#v2'
  await replaceInstallations(rig.d, app, account, [url, 'heroku/nodejs'])
  const rows = await rig.d.db.selectFrom('buildpack_installations').select('url').where('app_id', '=', app.id).execute()
  assert.not.match(JSON.stringify(rows), 's3cret')
  assert.is((await listInstallations(rig.d, app.id))[0]?.url, url)
  const activities = await rig.d.db.selectFrom('activities').selectAll().execute()
  assert.not.match(JSON.stringify(activities), 's3cret')
  await rig.d.db.insertInto('buildpack_installations').values({ app_id: app.id, ordinal: 2, url }).execute()
  assert.is((await listInstallations(rig.d, app.id))[2]?.url, url)
})

test.run()
