import { request } from 'node:http'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { requireOwnNames } from '../../daemon/route/platform.ts'
import { type Host, startHost } from './host.ts'

/** The API by its own name, as a router passes it on. What the server has looked at says where a client is (`forwarded.ts`). */

let host: Host
test.before(async () => {
  host = await startHost({
    ...{
      SLUICE_API_HOST: 'api.example.com',
      SLUICE_GIT_HOST: 'git.localhost',
      SLUICE_REGISTRY_HOST: 'registry.localhost',
    },
    SLUICE_TLS_PORT: '443',
  })
  await host.request('POST', '/apps', { body: { name: 'shop' } })
})
test.after(() => host.close())

/** Through a router at this name. */
const byName = (name: string, method: string, path: string, body = '{}') =>
  // biome-ignore lint/suspicious/noExplicitAny: answers of every shape
  new Promise<any>((resolve, reject) => {
    const headers = {
      ...{ host: name, authorization: `Bearer ${host.token}`, accept: 'application/vnd.heroku+json; version=3' },
      ...{ 'x-forwarded-for': '198.51.100.7', 'x-forwarded-proto': 'https', 'content-type': 'application/json' },
    }
    const asking = request(host.url, { method, path, headers }, async (response) => {
      let text = ''
      for await (const chunk of response) text += chunk
      resolve(JSON.parse(text))
    })
    asking.once('error', reject)
    asking.end(body)
  })

test('what is linked to is at the name that the client came by, and git at its own', async () => {
  assert.is((await byName('api.example.com', 'GET', '/apps/shop', '')).git_url, 'https://git.localhost/shop.git')
  assert.is(
    (await byName('api.example.com:8443', 'GET', '/apps/shop', '')).git_url,
    'https://git.localhost:8443/shop.git',
  )
  assert.is((await byName('API.Example.com.', 'GET', '/apps/shop', '')).git_url, 'https://git.localhost/shop.git')
  const { logplex_url } = await byName('api.example.com:8443', 'POST', '/apps/shop/log-sessions')
  assert.match(logplex_url, /^https:\/\/api\.example\.com:8443\/logs\//)
})

test('a client of the API’s own port is told of that', async () => {
  const { git_url } = (await host.request('GET', '/apps/shop')).json
  assert.is(git_url, `https://${new URL(host.url).host}/shop.git`)
})

test('a link for somebody else is at the name, also when it was made on the host itself', async () => {
  const body = { email: 'bob@example.com', role: 'member' }
  const invited = await host.request('PUT', '/teams/sluice/members', { body })
  assert.match(invited.headers.get('x-heroku-warning') ?? '', / https:\/\/api\.example\.com\/invitations\//)
  const reset = await host.request('POST', '/password-resets', { body: { email: 'admin@example.com' } })
  assert.match(reset.headers.get('x-heroku-warning') ?? '', / https:\/\/api\.example\.com\/invitations\//)
})

test('webhooks, which nobody asks for, are told the names', async () => {
  const { placeOf, gitUrl } = await import('../../daemon/api/link.ts')
  assert.is(gitUrl(placeOf(host.d.config), host.d.config, { name: 'shop' }), 'https://git.localhost/shop.git')
})

test('what somebody does is recorded with the address that the router saw', async () => {
  await byName('api.example.com', 'PATCH', '/apps/shop/config-vars', '{"A":"1"}')
  const row = await host.d.db.selectFrom('activities').select('origin').orderBy('created_at', 'desc').executeTakeFirst()
  assert.is(row?.origin, '198.51.100.7')
})

test('heroku run connects over https to the name; a rendezvous is at the port that knows it', async () => {
  const { json: app } = await host.request('GET', '/apps/shop')
  await host.deploy(await host.d.db.selectFrom('apps').selectAll().where('id', '=', app.id).executeTakeFirstOrThrow(), {
    web: 'true',
  })
  const attach = async (name: string) =>
    (await byName(name, 'POST', '/apps/shop/dynos', '{"command":"ls","attach":true}')).attach_url
  assert.match(await attach('api.example.com'), /^https:\/\/api\.example\.com:443\/attach\//)
  host.d.config.attach = 'rendezvous'
  assert.match(await attach('api.example.com'), /^rendezvous:\/\/api\.example\.com:5000\//)
  host.d.config.attach = 'https'
})

test('no app takes a name of the platform, as its own or as a domain', async () => {
  const taken = await host.request('POST', '/apps', { body: { name: 'registry' } })
  assert.equal([taken.status, taken.json.message], [422, 'Name registry is already taken'])
  assert.is((await host.request('PATCH', '/apps/shop', { body: { name: 'git' } })).status, 422)
  const domain = await host.request('POST', '/apps/shop/domains', { body: { hostname: 'API.example.com' } })
  assert.equal([domain.status, domain.json.message], [422, 'api.example.com is a name of the platform itself.'])
  assert.is((await host.request('POST', '/apps/shop/domains', { body: { hostname: 'www.example.com' } })).status, 201)
})

test('the platform takes no name of an app: it does not start, and says what to do', async () => {
  await requireOwnNames(host.d)
  const { db } = host.d
  const names = (api: string) => ({ db, config: { ...host.d.config, names: { api, git: api, registry: api } } })
  for (const name of ['shop.localhost', 'www.example.com'])
    await requireOwnNames(names(name)).then(
      () => assert.unreachable(name),
      (error) =>
        assert.match(error.message, new RegExp(`^${name} is to be a name of the platform, and the app shop has it`)),
    )
})

test.run()
