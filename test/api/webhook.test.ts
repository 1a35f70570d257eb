import { createHmac, randomUUID } from 'node:crypto'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { endBuild, failBuild, startBuild } from '../../daemon/build/build.ts'
import { limits } from '../../daemon/limits.ts'
import { deleteDyno, insertDyno, type NewDyno, updateDyno } from '../../daemon/run/dyno.ts'
import { make } from '../integration/chains.ts'
import { startRig } from './webhook-rig.ts'

const rig = await startRig()
test.after(() => rig.close())
const { host, createApp, hook, set, deliveries, settled, startReceiver } = rig
const { request, d } = host

test('a webhook is made, shown without its secrets, changed and removed', async () => {
  const app = await createApp()
  const made = await hook(app, { url: 'https://hooks.example.org/hooks', authorization: 'Bearer abc-def' })
  assert.is(made.status, 201)
  assert.match(made.headers.get('heroku-webhook-secret') ?? '', /^[0-9a-f]{60}$/)
  const { id, created_at, updated_at } = made.json
  const shown = {
    id,
    app: made.json.app,
    url: 'https://hooks.example.org/hooks',
    include: ['api:release'],
    level: 'notify',
  }
  assert.equal(made.json, { ...shown, created_at, updated_at })
  assert.equal((await request('GET', `/apps/${app}/webhooks`)).json, [made.json])
  const got = await request('GET', `/apps/${app}/webhooks/${id}`)
  assert.equal(got.json, made.json)
  assert.is(got.headers.get('heroku-webhook-secret'), null)
  const body = { include: ['dyno', 'api:addon'], level: 'sync', url: 'http://example.com/' }
  const changed = await request('PATCH', `/apps/${app}/webhooks/${id}`, { body })
  assert.equal({ ...changed.json, updated_at: '' }, { ...made.json, ...body, updated_at: '' })
  const given = await hook(app, { url: 'https://example.com/', secret: 'my-own-secret' })
  assert.is(given.headers.get('heroku-webhook-secret'), 'my-own-secret')
  const row = JSON.stringify(await d.db.selectFrom('webhooks').selectAll().execute())
  assert.not.match(row + host.logged.join(''), /my-own-secret|Bearer abc-def|hooks\.example\.org/)
  assert.is((await request('DELETE', `/apps/${app}/webhooks/${id}`)).status, 200)
  assert.is((await request('GET', `/apps/${app}/webhooks/${id}`)).status, 404)
})

test('what could not be delivered, or must not be, is refused in words', async () => {
  const app = await createApp()
  const refused = async (body: object, message: RegExp) => {
    const { status, json } = await hook(app, { url: 'https://example.com/', ...body })
    assert.is(status, 422, JSON.stringify(body))
    assert.match(json.message, message)
  }
  await refused({ url: 'ftp://example.com/' }, /^Url must begin with https:/)
  await refused({ url: 'https://' }, /^The URL is not valid/)
  await refused({ url: 'http://127.0.0.2/' }, /an address that webhooks may not reach/)
  await refused({ url: 'http://169.254.169.254/latest' }, /an address that webhooks may not reach/)
  await refused({ url: `https://example.com/${'x'.repeat(limits.webhookUrl)}` }, /2048 characters/)
  await refused({ include: [] }, /^Include at least one of api:app, /)
  await refused({ include: ['api:nope'] }, /^Include has "api:nope", which is none of api:app, /)
  await refused({ level: 'never' }, /^Level must be notify or sync/)
  await refused({ authorization: 'a\r\nX: y' }, /printable ASCII/)
  await refused({ secret: 'x'.repeat(limits.webhookSecret + 1) }, /secret/)
  await refused({ secret: 'gehört\n' }, /^Secret must be .* printable ASCII/)
  for (let count = 0; count < limits.webhooksPerApp; count++) await hook(app, { url: 'https://example.com/' })
  await refused({}, /An app may have 20 webhooks/)
  assert.is((await request('GET', `/apps/${app}/webhooks`)).json.length, limits.webhooksPerApp)
})

test('an event comes signed, in Heroku’s form, over https, and is in the lists', async () => {
  const [app, receiver] = [await createApp(), await startReceiver(true)]
  const made = await hook(app, { url: receiver.url, secret: 'geheim', authorization: 'Bearer abc', level: 'sync' })
  assert.is(made.status, 201, JSON.stringify(made.json))
  await set(app, 'x')
  const { method, path, headers, text, json } = await receiver.nth(1)
  assert.equal(
    [method, path, headers['content-type'], headers.authorization],
    ['POST', '/hooks?a=b', 'application/json', 'Bearer abc'],
  )
  assert.is(headers['heroku-webhook-hmac-sha256'], createHmac('sha256', 'geheim').update(text).digest('base64'))
  await settled(app, 'succeeded')
  const [delivery] = await deliveries(app)
  const { json: release } = await request('GET', `/apps/${app}/releases/2`)
  const { output_stream_url: _link, ...data } = release
  assert.equal(json, {
    id: json.id,
    action: 'create',
    actor: { id: release.user.id, email: 'admin@example.com' },
    created_at: release.created_at,
    data,
    previous_data: {},
    published_at: release.created_at,
    resource: 'release',
    sequence: null,
    updated_at: release.created_at,
    version: 'application/vnd.heroku+json; version=3',
    webhook_metadata: {
      attempt: { id: delivery.last_attempt.id },
      delivery: { id: delivery.id },
      event: { id: json.id, include: 'api:release' },
      webhook: { id: made.json.id },
    },
  })
  const { created_at, updated_at } = delivery.last_attempt
  assert.equal(delivery, {
    id: delivery.id,
    event: { id: json.id, include: 'api:release' },
    webhook: { id: made.json.id, level: 'sync' },
    status: 'succeeded',
    num_attempts: 1,
    next_attempt_at: null,
    last_attempt: {
      id: delivery.last_attempt.id,
      code: 204,
      error_class: null,
      status: 'succeeded',
      created_at,
      updated_at,
    },
    created_at: delivery.created_at,
    updated_at: delivery.updated_at,
  })
  assert.equal((await request('GET', `/apps/${app}/webhook-deliveries/${delivery.id}`)).json, delivery)
  const { json: event } = await request('GET', `/apps/${app}/webhook-events/${json.id}`)
  const { webhook_metadata: _metadata, ...payload } = json
  assert.equal(event.payload, payload)
  assert.is(event.include, 'api:release')
  assert.equal((await request('GET', `/apps/${app}/webhook-events`)).json, [event])
  const eq = (status: string) => request('GET', `/apps/${app}/webhook-deliveries?eq[status]=${status}`)
  assert.equal([(await eq('succeeded')).json.length, (await eq('failed')).json.length], [1, 0])
  assert.is((await request('GET', `/apps/${await createApp()}/webhook-events/${json.id}`)).status, 404)
})

test('everything that happens to an app is told: what it is, what it was, and who did it', async () => {
  const [app, receiver] = [await createApp(), await startReceiver()]
  const all = ['api:app', 'api:build', 'api:collaborator', 'api:domain', 'api:dyno', 'api:formation', 'api:release']
  await hook(app, { url: receiver.url, include: [...all, 'api:sni-endpoint', 'dyno'], level: 'sync' })
  let count = 0
  const next = async () => {
    const { json } = await receiver.nth(++count)
    return { what: `${json.resource} ${json.action}`, ...json }
  }
  const body = (value: object) => ({ body: value })

  await request('PATCH', `/apps/${app}`, body({ maintenance: true }))
  const maintained = await next()
  assert.is(maintained.what, 'app update')
  assert.equal(
    maintained.data,
    (await request('GET', `/apps/${app}`)).json && { ...maintained.data, maintenance: true },
  )
  assert.equal(maintained.previous_data, { maintenance: false })

  const { json: domain } = await request(
    'POST',
    `/apps/${app}/domains`,
    body({ hostname: `www.${app}.example`, sni_endpoint: null }),
  )
  const added = await next()
  assert.equal([added.what, added.data], ['domain create', domain])

  const { cert, key } = await make({ names: [`www.${app}.example`] })
  const { json: endpoint } = await request(
    'POST',
    `/apps/${app}/sni-endpoints`,
    body({ certificate_chain: cert, private_key: key }),
  )
  const kept = await next()
  assert.equal([kept.what, kept.data], ['sni-endpoint create', endpoint])
  assert.not.match(JSON.stringify(kept), /PRIVATE KEY/)

  await request('PATCH', `/apps/${app}/domains/${domain.id}`, body({ sni_endpoint: endpoint.name }))
  const bound = await next()
  assert.equal([bound.what, bound.previous_data], ['domain update', { sni_endpoint: null }])
  assert.is(bound.data.sni_endpoint.name, endpoint.name)
  await request('DELETE', `/apps/${app}/sni-endpoints/${endpoint.name}`)
  assert.is((await next()).what, 'sni-endpoint destroy')
  await request('DELETE', `/apps/${app}/domains/${domain.id}`)
  const removed = await next()
  assert.equal([removed.what, removed.data.hostname], ['domain destroy', domain.hostname])

  await host.invite(`${app}@example.com`)
  await request('POST', `/apps/${app}/collaborators`, body({ user: `${app}@example.com` }))
  const shared = await next()
  assert.equal([shared.what, shared.data.user.email], ['collaborator create', `${app}@example.com`])
  await request('DELETE', `/apps/${app}/collaborators/${app}@example.com`)
  const unshared = await next()
  assert.equal([unshared.what, unshared.data.user.email], ['collaborator destroy', `${app}@example.com`])

  const row = await d.db.selectFrom('apps').selectAll().where('name', '=', app).executeTakeFirstOrThrow()
  await host.deploy(row, { web: 'node server.js', worker: 'node worker.js' })
  assert.is((await next()).what, 'release create')
  const served = await next()
  assert.equal(
    [served.what, served.data.status, served.previous_data.status],
    ['release update', 'succeeded', 'pending'],
  )
  assert.is(served.actor.email, 'admin@example.com')
  const dyno = await next()
  assert.equal([dyno.what, dyno.data.name, dyno.actor.email], ['dyno create', 'web.1', 'admin@example.com'])

  await request('PATCH', `/apps/${app}/formation`, body({ updates: [{ type: 'web', quantity: 0 }] }))
  const scaled = await next()
  assert.equal([scaled.what, scaled.data.quantity, scaled.previous_data], ['formation update', 0, { quantity: 1 }])

  const ran = await request('POST', `/apps/${app}/dynos`, body({ command: 'ls' }))
  assert.is(ran.status, 201)
  const one = [await next(), await next()]
  assert.equal(
    one.map(({ what, data }) => [what, data.name]),
    Array(2).fill(['dyno create', ran.json.name]),
  )
  assert.equal(one.map(({ webhook_metadata }) => webhook_metadata.event.include).sort(), ['api:dyno', 'dyno'])

  await host.settled()
  await request('DELETE', `/apps/${app}`)
  const destroyed = await next()
  assert.equal([destroyed.what, destroyed.data.name], ['app destroy', app])
  assert.is(destroyed.data.owner.email, 'admin@example.com')
})

test('builds are told when they begin and end, dynos when they are made, change and go', async () => {
  const [app, receiver] = [await createApp(), await startReceiver()]
  const row = await d.db.selectFrom('apps').selectAll().where('name', '=', app).executeTakeFirstOrThrow()
  const release = await d.db.selectFrom('releases').select('id').where('app_id', '=', row.id).executeTakeFirstOrThrow()
  await hook(app, { url: receiver.url, include: ['api:build', 'dyno'], level: 'sync' })
  const account = { id: row.owner_id, email: 'owner@example.com' }
  const { build } = await startBuild(d, { app: row, account, version: 'abc' })
  await failBuild(d, build.id, 'no reason')
  endBuild(build.id)
  const now = d.clock.now()
  const dyno: NewDyno = {
    ...{
      id: randomUUID(),
      app_id: row.id,
      release_id: release.id,
      type: 'web',
      ordinal: 1,
      size: 'Basic',
      command: 'x',
    },
    ...{
      state: 'starting',
      replace: 0,
      crashes: 0,
      retry_at: null,
      exit_code: null,
      address: null,
      port: 1,
      one_off: null,
    },
    ...{ created_at: now, updated_at: now },
  }
  await insertDyno(d.db, dyno)
  for (const state of ['up', 'draining', 'stopping'] as const)
    await updateDyno(d.db, dyno.id, { state, updated_at: now })
  await deleteDyno(d.db, dyno.id, now)
  await receiver.nth(5)
  assert.equal(
    receiver.taken.map(({ json }) => [json.resource, json.action, json.data.status ?? json.data.name]),
    [
      ['build', 'create', 'pending'],
      ['build', 'update', 'failed'],
      ['dyno', 'create', 'web.1'],
      ['dyno', 'update', 'web.1'],
      ['dyno', 'destroy', 'web.1'],
    ],
  )
  assert.equal(receiver.taken[1]?.json.previous_data, { status: 'pending' })
  assert.is(receiver.taken[0]?.json.data.output_stream_url, undefined)
})

test.run()
