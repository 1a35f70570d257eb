import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { findApp } from '../../daemon/app/app.ts'
import { allRoutes } from '../../daemon/route/routes.ts'
import { specOf } from '../../daemon/run/spec.ts'
import { startHost } from './host.ts'

const host = await startHost()
test.after(() => host.close())
const { d } = host
const { json: demo } = await host.request('POST', '/apps', { body: { name: 'demo' } })
const owner = await d.db.selectFrom('accounts').selectAll().where('admin', '=', 1).executeTakeFirstOrThrow()
const app = await findApp(d.db, owner, 'demo')
await host.deploy(app, { web: 'node .', release: 'migrate' })

const patch = (feature: string, enabled: unknown) =>
  host.request('PATCH', `/apps/demo/features/${feature}`, { body: { enabled } })

test('an app has the features that are off until they are wanted, and those that are always on', async () => {
  const { json } = await host.request('GET', '/apps/demo/features')
  const seen = json.map(({ name, enabled, state }: Record<string, unknown>) => `${name} ${enabled} ${state}`)
  assert.equal(seen, [
    'http-disable-keepalive-to-dyno false public',
    'http-end-to-end-continue false public',
    'http-session-affinity false general',
    'https-redirect false general',
    'preboot true general',
    'runtime-dyno-metadata false public',
    'runtime-heroku-exec true general',
    'serial-deploy false general',
  ])
})

test('a feature that is enabled stays so, is on record, and reaches the routers', async () => {
  assert.not.ok((await allRoutes(d.db, 'localhost'))[0]?.affinity)
  const { json } = await patch('http-session-affinity', true)
  assert.is(json.enabled, true)
  assert.is((await host.request('GET', `/apps/demo/features/${json.id}`)).json.enabled, true)
  assert.is((await allRoutes(d.db, 'localhost'))[0]?.affinity, true)
  const audit = await d.db.selectFrom('activities').select('text').where('app_id', '=', demo.id).execute()
  assert.ok(audit.some(({ text }) => text === 'Enabled feature http-session-affinity'))
  await Promise.all([patch('http-session-affinity', false), patch('http-session-affinity', false)])
  assert.not.ok((await allRoutes(d.db, 'localhost'))[0]?.affinity)
})

test('each feature of routing has its word in the table', async () => {
  const words = {
    'https-redirect': 'redirect',
    'http-disable-keepalive-to-dyno': 'fresh',
    'http-end-to-end-continue': 'passContinue',
  } as const
  for (const [feature, word] of Object.entries(words)) {
    await patch(feature, true)
    const [route] = await allRoutes(d.db, 'localhost')
    for (const each of Object.values(words)) assert.is(route?.[each], each === word ? true : undefined, feature)
    await patch(feature, false)
  }
})

test('what is always on cannot be disabled; unknown features and odd values are refused', async () => {
  assert.is((await patch('preboot', true)).status, 200)
  const off = await patch('preboot', false)
  assert.equal([off.status, off.json.message], [422, 'Preboot is always on here and cannot be disabled.'])
  assert.is((await patch('nope', true)).status, 404)
  assert.is((await patch('http-session-affinity', 'yes')).status, 422)
})

const dynoRow = () => d.db.selectFrom('dynos').selectAll().where('app_id', '=', app.id).executeTakeFirstOrThrow()

const environment = async (): Promise<Record<string, string>> => {
  const { env } = await specOf(d, app, await dynoRow())
  return Object.fromEntries(env.map((text) => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)]))
}

test('dyno metadata is in the environment from the next release on, and config vars win', async () => {
  await patch('runtime-dyno-metadata', true)
  assert.is((await environment()).HEROKU_APP_NAME, undefined)
  await host.request('PATCH', '/apps/demo/config-vars', { body: { HEROKU_BUILD_DESCRIPTION: 'mine' } })
  await host.settled()
  const env = await environment()
  const dyno = await dynoRow()
  assert.equal(
    [env.HEROKU_APP_ID, env.HEROKU_APP_NAME, env.HEROKU_DYNO_ID, env.HEROKU_RELEASE_VERSION, env.HEROKU_SLUG_COMMIT],
    [app.id, 'demo', dyno.id, 'v3', 'a'.repeat(40)],
  )
  assert.match(env.HEROKU_RELEASE_CREATED_AT ?? '', /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
  assert.equal([env.HEROKU_SLUG_DESCRIPTION, env.HEROKU_BUILD_DESCRIPTION], ['Deploy aaaaaaaa', 'mine'])
  await patch('runtime-dyno-metadata', false)
  assert.is((await environment()).HEROKU_APP_NAME, undefined)
})

test('the release command is in the formation: it has a size, and cannot be scaled', async () => {
  const { json } = await host.request('GET', '/apps/demo/formation')
  const row = json.find(({ type }: { type: string }) => type === 'release')
  assert.equal([row.quantity, row.command, row.size], [0, 'migrate', 'Basic'])
  const change = (update: object) =>
    host.request('PATCH', '/apps/demo/formation', { body: { updates: [{ type: 'release', ...update }] } })
  const scaled = await change({ quantity: 1 })
  assert.is(scaled.status, 422)
  assert.match(scaled.json.message, 'it runs once for each release')
  assert.is((await change({ size: 'Standard-2X' })).json[0].size, 'Standard-2X')
})

test.run()
