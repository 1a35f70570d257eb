import { once } from 'node:events'
import ssh2 from 'ssh2'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { findApp } from '../../daemon/app/app.ts'
import { type Answer, type Host, startHost } from './host.ts'

/** What the CLI asks before ps:exec and its kin: as Heroku's exec manager, with the app as user name and the token as password. */
let host: Host
const { public: key, private: secret } = ssh2.utils.generateKeyPairSync('rsa', { bits: 2048 })

test.before(async () => {
  host = await startHost()
  await host.request('POST', '/apps', { body: { name: 'sample' } })
  const { account } = await host.invite('owner@example.com')
  await host.deploy(await findApp(host.d.db, { ...account, admin: 1 }, 'sample'), { web: 'serve', worker: 'work' })
})
test.after(() => host.close())

const ask = (method: string, path: string, { app = 'sample', token = host.token, body = undefined as unknown } = {}) =>
  host.request(method, path, {
    token: null,
    headers: {
      accept: 'application/json',
      authorization: `Basic ${Buffer.from(`${app}:${token}`).toString('base64')}`,
    },
    ...(body === undefined ? {} : { body }),
  })

function refused(answer: Answer, status: number, words: RegExp): void {
  assert.is(answer.status, status)
  assert.match(answer.json.message, words)
}

const letIn = async ({ client_user: username, tunnel_host }: { client_user: string; tunnel_host: string }) => {
  const client = new ssh2.Client()
  client.connect({ host: tunnel_host, port: 80, username, privateKey: secret })
  return once(client, 'ready').then(
    () => client.end() !== undefined,
    () => false,
  )
}

test('before the tunnel listens, a key is refused with the way out', async () => {
  refused(await ask('PUT', '/api/v2/web.1', { body: { client_key: key } }), 422, /ps:exec is off on this platform/)
  await host.d.tunnel.listen()
})

test('the feature that the CLI looks for is on', async () => {
  const path = '/apps/sample/features/runtime-heroku-exec'
  assert.is((await host.request('GET', path)).json.enabled, true)
  assert.is((await host.request('PATCH', path, { body: { enabled: true } })).json.enabled, true)
  refused(await host.request('PATCH', path, { body: { enabled: false } }), 422, /cannot be disabled/)
})

test('a client key is exchanged for a way in', async () => {
  const { status, json } = await ask('PUT', '/api/v2/web.1', { body: { client_key: key } })
  assert.is(status, 200)
  assert.is(json.tunnel_host, host.d.config.execHost)
  assert.match(json.client_user, /^web1-[0-9a-f]{16}$/)
  assert.match(json.proxy_public_key, /^ssh-ed25519 AAAA/)
  assert.is(json.dyno_ip, '10.0.0.2')
  assert.ok(await letIn(json))
})

test('the dynos that can be entered are listed', async () => {
  const { json } = await ask('GET', '/api/v2')
  assert.equal(json.map(({ dyno_name }: { dyno_name: string }) => dyno_name).sort(), ['web.1'])
})

test('what is wrong is said', async () => {
  const body = { client_key: key }
  refused(await ask('PUT', '/api/v2/web.9', { body }), 404, /Couldn't find that dyno/)
  refused(await ask('PUT', '/api/v2/web.1', { body, app: 'nope' }), 404, /Couldn't find that app/)
  refused(await ask('PUT', '/api/v2/web.1', { body, token: 'wrong' }), 401, /Invalid credentials/)
  refused(await ask('PUT', '/api/v2/web.1', { body: {} }), 422, /client_key/)
  refused(await ask('PUT', '/api/v2/web.1', { body: { client_key: 'none' } }), 422, /OpenSSH public key/)
  refused(await host.request('GET', '/api/v2'), 422, /Authorization: Basic/)
  const stranger = await host.invite('stranger@example.com')
  refused(await ask('PUT', '/api/v2/web.1', { body, token: stranger.token }), 404, /Couldn't find that app/)
})

test('a dyno that does not run cannot be entered', async () => {
  await host.d.db.updateTable('dynos').set({ state: 'crashed' }).execute()
  refused(await ask('PUT', '/api/v2/web.1', { body: { client_key: key } }), 422, /web\.1 does not run now/)
  assert.equal((await ask('GET', '/api/v2')).json, [])
  await host.d.db.updateTable('dynos').set({ state: 'up' }).execute()
})

test('a key is good no longer than the token that it came with', async () => {
  const made = await host.request('POST', '/oauth/authorizations', { body: { description: 'short' } })
  const { token } = made.json.access_token
  const { json } = await ask('PUT', '/api/v2/web.1', { body: { client_key: key }, token })
  assert.ok(await letIn(json))
  await host.request('DELETE', `/oauth/authorizations/${made.json.id}`)
  assert.not(await letIn(json))
})

test.run()
