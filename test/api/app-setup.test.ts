import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { resumeSetups } from '../../daemon/pipeline/setup.ts'
import { createUnderway } from '../../daemon/pipeline/underway.ts'
import { waitFor } from '../e2e/wait.ts'
import { type Host, startHost } from './host.ts'
import { runInstantly, type Scripts, tarOf } from './pipeline-rig.ts'

let host: Host
let scripts: Scripts
let token: string
test.before(async () => {
  host = await startHost()
  token = (await host.invite('other@example.com')).token
  scripts = runInstantly(host)
})
test.after(() => host.close())

const send = (method: string, path: string, body?: unknown, as?: string) =>
  host.request(method, path, { body, ...(as === undefined ? {} : { token: as }) })
const get = async (path: string) => (await send('GET', path)).json

/** The link to an uploaded source with this app.json. */
async function serve(manifest: unknown): Promise<string> {
  const text = typeof manifest === 'string' ? manifest : JSON.stringify(manifest)
  const all = {
    Procfile: 'web: serve\nworker: work\n',
    ...(manifest === undefined ? {} : { 'app.json': text }),
  }
  const { put_url, get_url } = (await send('POST', '/sources')).json.source_blob
  assert.is((await fetch(put_url, { method: 'PUT', body: await tarOf(all) })).status, 200)
  return get_url
}

const setUp = (url: string, more: object = {}, as?: string) =>
  send('POST', '/app-setups', { source_blob: { url, version: 'v1' }, ...more }, as)

const ended = (id: string) =>
  waitFor('the set-up to end', async () => {
    const setup = await get(`/app-setups/${id}`)
    assert.is.not(setup.status, 'pending')
    return setup
  })

test('a set-up makes an app of a source and its app.json', async () => {
  const url = await serve({
    name: 'Small Sharp Tool',
    env: {
      PLAIN: 'text',
      WITH: { value: '5', description: 'x' },
      TOKEN: { generator: 'secret' },
      MAYBE: { required: false },
    },
    formation: { web: { quantity: 2, size: 'standard-2x' }, worker: { quantity: 1 }, absent: { quantity: 1 } },
    buildpacks: [{ url: 'heroku/procfile' }],
    addons: ['heroku-postgresql'],
    scripts: { postdeploy: 'seed the database' },
    success_url: '/welcome',
    stack: 'heroku-26',
  })
  scripts.script = { prints: 'seeded\n', exitCode: 0 }
  const made = await setUp(url, { app: { name: 'sharp-tool' }, overrides: { env: { PLAIN: 'other', EXTRA: 'x' } } })
  assert.equal([made.status, made.json.status, made.json.app.name], [202, 'pending', 'sharp-tool'])
  const setup = await ended(made.json.id)
  assert.equal([setup.status, setup.failure_message, setup.manifest_errors], ['succeeded', null, []])
  assert.equal(setup.postdeploy, { output: 'seeded\n', exit_code: 0 })
  assert.is(setup.resolved_success_url, 'http://sharp-tool.localhost:8080/welcome')
  assert.is(setup.build.status, 'succeeded')
  assert.match(await (await fetch(setup.build.output_stream_url)).text(), 'Building on the Heroku-26 stack')
  const { TOKEN, ...config } = await get('/apps/sharp-tool/config-vars')
  assert.match(TOKEN, /^[0-9a-f]{64}$/)
  assert.equal(config, { PLAIN: 'other', WITH: '5', EXTRA: 'x' })
  const formation: { type: string; quantity: number; size: string }[] = await get('/apps/sharp-tool/formation')
  assert.equal(formation.map(({ type, quantity, size }) => [type, quantity, size]).sort(), [
    ['web', 2, 'Standard-2X'],
    ['worker', 1, 'Basic'],
  ])
  const [buildpack] = await get('/apps/sharp-tool/buildpack-installations')
  assert.is(buildpack.buildpack.name, 'heroku/procfile')
  const { logplex_url } = (await send('POST', '/apps/sharp-tool/log-sessions', { lines: 100 })).json
  const log = await (await fetch(logplex_url, { headers: { accept: 'text/plain' } })).text()
  assert.match(log, /app\[api\]: The add-on heroku-postgresql of app\.json is not available here/)
  assert.match(log, /app\[run\.\d+\]: seeded/)
})

test('an app.json that is wrong, or leaves out what is required, fails with a sentence for each error', async () => {
  for (const [manifest, errors] of [
    [
      { env: { A: {}, B: { required: true }, C: { required: false } } },
      ['config var A is required', 'config var B is required'],
    ],
    [{ formation: { web: { quantity: -1 } } }, ['formation.web.quantity: must be at least 0.']],
    [{ formation: { web: { quantity: 1.5 } } }, ['formation.web.quantity: must be a whole number.']],
    [{ env: { A: 5 } }, ['env.A: must be a text or an object.']],
    [{ env: { A: { generator: 'uuid' } } }, ['env.A.generator: must be "secret".']],
    [{ buildpacks: [{ url: 'heroku/procfile' }, { uri: 'x' }] }, ['buildpacks[1].url: must be a text.']],
    [
      { scripts: { postdeploy: ['a', 'b'] }, keywords: 'x' },
      ['scripts.postdeploy: must be a text.', 'keywords: must be a list.'],
    ],
    [{ environments: { review: { addons: 'x' } } }, ['environments.review.addons: must be a list.']],
    ['[]', ['app.json: must be an object.']],
    [{ formation: { web: { size: 'huge' } } }, ['There is no dyno size huge (web).']],
    [{ buildpacks: [{ url: 'heroku/cobol' }] }, [/heroku\/cobol is not in the buildpack registry/]],
    [{ env: { '1X': 'y' } }, [/"1X" is not a valid config var name/]],
    ['{', ['It is not valid JSON.']],
    [{ description: 'x'.repeat(300_000) }, ['It is larger than 256 KB.']],
    [undefined, ['There is no app.json at the top of the source.']],
  ] as const) {
    const setup = await ended((await setUp(await serve(manifest))).json.id)
    assert.is(setup.status, 'failed')
    assert.match(setup.failure_message, /^invalid app\.json: /)
    assert.is(setup.manifest_errors.length, errors.length, JSON.stringify(setup.manifest_errors))
    for (const [n, error] of errors.entries())
      if (typeof error === 'string') assert.is(setup.manifest_errors[n], error)
      else assert.match(setup.manifest_errors[n], error)
    assert.is(setup.build, null)
  }
})

test('a set-up whose source is not there, or does not compile, or whose script fails, says so and leaves the app', async () => {
  const { get_url } = (await send('POST', '/sources')).json.source_blob
  const missing = await ended((await setUp(get_url, { app: { name: 'no-source' } })).json.id)
  assert.is(missing.status, 'failed')
  assert.match(missing.failure_message, "Couldn't find that source")
  scripts.broken = true
  const broken = await ended((await setUp(await serve({}), { app: { name: 'not-compiled' } })).json.id)
  scripts.broken = false
  assert.match(broken.failure_message, 'failed to compile procfile app')
  assert.is(broken.build.status, 'failed')
  scripts.script = { prints: 'no database\n', exitCode: 3 }
  const url = await serve({ scripts: { postdeploy: 'seed' } })
  const unseeded = await ended((await setUp(url, { app: { name: 'not-seeded' } })).json.id)
  assert.match(unseeded.failure_message, 'The postdeploy script exited with status 3.')
  assert.equal(unseeded.postdeploy, { output: 'no database\n', exit_code: 3 })
  for (const name of ['no-source', 'not-compiled', 'not-seeded']) assert.is((await get(`/apps/${name}`)).name, name)
})

test('what no app can be made of is refused before there is one', async () => {
  const url = await serve({})
  for (const more of [
    { app: { name: 'Bad Name' } },
    { app: { region: 'eu' } },
    { app: { stack: 'cedar-14' } },
    { app: { space: 'private' } },
    { app: { locked: 'yes' } },
    { overrides: { env: { '1X': 'y' } } },
    { overrides: { buildpacks: [{ url: 'heroku/cobol' }] } },
  ])
    assert.is((await setUp(url, more)).status, 422, JSON.stringify(more))
  assert.is((await send('POST', '/app-setups', {})).status, 422)
  assert.is((await setUp('file:///etc/passwd')).status, 422)
  assert.is((await setUp(url, { source_blob: { url, checksum: 'MD5:1' } })).status, 422)
  assert.is((await setUp(url, { source_blob: { url, version: 'v1\nforged line' } })).status, 422)
  const apps = await host.d.db.selectFrom('apps').select('id').where('name', '=', 'Bad Name').execute()
  assert.equal(apps, [])
})

test('an app of the team is set up for the team', async () => {
  const [team] = await get('/teams')
  assert.is((await setUp(await serve({}), { app: { organization: 'nobody' } })).status, 404)
  const { json } = await setUp(await serve({}), { app: { organization: team.name, locked: true } }, token)
  await ended(json.id)
  assert.is((await get(`/apps/${json.app.name}`)).team.name, team.name)
})

test('somebody else’s set-up is not found, and its order is sealed', async () => {
  const url = await serve({})
  const { id } = (await setUp(url, { overrides: { env: { WORD: 'hidden-word' } } })).json
  await ended(id)
  assert.is((await send('GET', `/app-setups/${id}`, undefined, token)).status, 404)
  assert.is((await send('GET', '/app-setups/nothing')).status, 404)
  const rows = await host.d.db.selectFrom('app_setups').selectAll().execute()
  for (const word of ['hidden-word', String(new URL(url).searchParams.get('key'))])
    assert.not.match(JSON.stringify(rows) + host.logged.join(''), word)
})

test('a set-up that the daemon did not live to end goes on at the next start; a postdeploy script never runs twice', async () => {
  const { underway } = host.d
  host.d.underway = createUnderway(host.d.log)
  await host.d.underway.stop()
  const url = await serve({ env: { TOKEN: { generator: 'secret' } }, scripts: { postdeploy: 'seed' } })
  const first = (await setUp(url)).json
  const second = (await setUp(url)).json
  host.d.underway = underway
  assert.is((await get(`/app-setups/${first.id}`)).status, 'pending')
  await host.d.db.updateTable('app_setups').set({ state: 'postdeploy' }).where('id', '=', second.id).execute()
  await send('PATCH', `/apps/${first.app.name}/config-vars`, { TOKEN: 'generated before' })
  scripts.script = { prints: '', exitCode: 0 }
  await resumeSetups(host.d)
  assert.is((await ended(first.id)).status, 'succeeded')
  assert.equal(await get(`/apps/${first.app.name}/config-vars`), { TOKEN: 'generated before' })
  const interrupted = await get(`/app-setups/${second.id}`)
  assert.equal([interrupted.status, interrupted.postdeploy], ['failed', null])
  assert.match(interrupted.failure_message, 'was restarted while the postdeploy script ran')
})

test('a set-up ends when its app was taken away from who asked before its turn came', async () => {
  const [team] = await get('/teams')
  const { underway } = host.d
  host.d.underway = createUnderway(host.d.log)
  await host.d.underway.stop()
  const { id, app } = (await setUp(await serve({}), { app: { organization: team.name } }, token)).json
  host.d.underway = underway
  await host.d.db.deleteFrom('collaborators').where('app_id', '=', app.id).execute()
  await resumeSetups(host.d)
  const { status, failure_message, build } = await ended(id)
  assert.equal([status, build], ['failed', null])
  assert.match(failure_message, 'needs the permission deploy')
})

test('an app that is destroyed while it is set up takes its set-up along', async () => {
  const { underway } = host.d
  host.d.underway = createUnderway(host.d.log)
  await host.d.underway.stop()
  const { id, app } = (await setUp(await serve({}))).json
  host.d.underway = underway
  await send('DELETE', `/apps/${app.name}`)
  await resumeSetups(host.d)
  assert.is((await send('GET', `/app-setups/${id}`)).status, 404)
})

test.run()
