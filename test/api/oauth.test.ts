import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { grantAuthorization } from '../../daemon/account/grant.ts'
import { hashPassword, setPassword } from '../../daemon/account/password.ts'
import { limits } from '../../daemon/limits.ts'
import { decide } from '../../daemon/store/database.ts'
import { type Options, startHost } from './host.ts'

const host = await startHost()
test.after(() => host.close())
const { d } = host

const email = 'ann@example.com'
const password = 'correct horse battery'
const { account, token: annsToken } = await host.invite(email)
const hash = await hashPassword(password)
await decide(d.db, (tx) => setPassword(tx, account, hash, d.clock.now()))

const redirect_uri = 'https://client.example.com/callback?keep=1'
const make = async () =>
  (await host.request('POST', '/oauth/clients', { body: { name: 'Robo <b>', redirect_uri } })).json
const as = (token: string, method: string, path: string, body?: object) =>
  host.request(method, path, { token, ...(body ? { body } : {}) })
const formed = (fields: Record<string, string>): RequestInit => ({
  method: 'POST',
  redirect: 'manual',
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
  body: new URLSearchParams(fields).toString(),
})
const authorize = (fields: Record<string, string>) => fetch(`${host.url}/oauth/authorize`, formed(fields))
const exchange = async (fields: Record<string, string>) => {
  const response = await fetch(`${host.url}/oauth/token`, formed(fields))
  return { status: response.status, json: (await response.json()) as Record<string, string> }
}
/** The code that a person's consent gives a client. */
async function consent(client: { id: string }, scope = 'read identity'): Promise<string> {
  const response = await authorize({ client_id: client.id, scope, state: 's/1', email, password })
  const location = new URL(response.headers.get('location') ?? 'http://none')
  assert.is(response.status, 303)
  assert.equal([location.origin, location.searchParams.get('keep')], ['https://client.example.com', '1'])
  assert.is(location.searchParams.get('state'), 's/1')
  return location.searchParams.get('code') ?? ''
}

test('clients are made, listed, changed, rotated and destroyed; the secret is told when it is made', async () => {
  const made = await make()
  assert.match(made.secret, /^[0-9a-f-]{36}$/)
  const one = `/oauth/clients/${made.id}`
  assert.match((await host.request('GET', one)).json.secret, /^....\*{10}....$/)
  assert.ok((await host.request('GET', '/oauth/clients')).json.some(({ id }: { id: string }) => id === made.id))
  assert.is((await as(annsToken, 'GET', one)).status, 404)
  const changed = await host.request('PATCH', one, { body: { name: 'Renamed' } })
  assert.equal([changed.json.name, changed.json.redirect_uri], ['Renamed', redirect_uri])
  const rotated = await host.request('POST', `${one}/actions/rotate-credentials`)
  assert.is.not(rotated.json.secret, made.secret)
  const code = { grant_type: 'authorization_code', code: 'x' }
  assert.is((await exchange({ ...code, client_secret: made.secret })).status, 401)
  assert.is((await exchange({ ...code, client_secret: rotated.json.secret })).status, 400)
  assert.is((await host.request('DELETE', one)).json.id, made.id)
  assert.is((await host.request('GET', one)).json.resource, 'client')
})

test('a client has a name, and an address that is secure or local', async () => {
  for (const uri of [
    'x',
    'ftp://x/',
    'javascript:alert(1)',
    'http://example.com/',
    'https://u:p@example.com/',
    'https://x/#y',
    'https://x;sandbox,y.example.com/',
  ])
    assert.is(
      (await host.request('POST', '/oauth/clients', { body: { name: 'x', redirect_uri: uri } })).status,
      422,
      uri,
    )
  for (const uri of ['http://localhost:3000/cb', 'http://127.0.0.1/cb', 'https://example.com/cb'])
    assert.is(
      (await host.request('POST', '/oauth/clients', { body: { name: 'x', redirect_uri: uri } })).status,
      201,
      uri,
    )
  assert.is((await host.request('POST', '/oauth/clients', { body: { name: ' ', redirect_uri } })).status, 422)
})

test('the web flow: the person sees who asks and for what; the client changes the code into tokens', async () => {
  const client = await make()
  const page = await host.request(
    'GET',
    `/oauth/authorize?client_id=${client.id}&response_type=code&scope=read,identity`,
    {
      token: null,
    },
  )
  assert.is(page.status, 200)
  assert.match(page.text, 'Robo &lt;b&gt;')
  assert.match(page.text, 'client.example.com')
  assert.match(page.text, 'see your apps, but not their config vars')
  assert.match(page.headers.get('content-security-policy') ?? '', "form-action 'self' https://client.example.com")
  const code = await consent(client)
  const { status, json } = await exchange({ grant_type: 'authorization_code', code, client_secret: client.secret })
  assert.is(status, 200)
  assert.equal([json.token_type, json.user_id], ['Bearer', account.id])
  assert.ok(Number(json.expires_in) > 28_700 && Number(json.expires_in) <= 28_800)
  assert.is((await as(json.access_token ?? '', 'GET', '/account')).json.email, email)
  assert.is((await as(json.access_token ?? '', 'GET', '/oauth/authorizations')).status, 403)
  const listed = (await as(annsToken, 'GET', '/oauth/authorizations')).json
  const row = listed.find(({ client: of }: { client: { id: string } | null }) => of?.id === client.id)
  assert.equal([row.client.name, row.scope, row.grant], ['Robo <b>', ['identity', 'read'], null])
})

test('a refresh token gets the next token, and the one before is refused', async () => {
  const client = await make()
  const first = (
    await exchange({ grant_type: 'authorization_code', code: await consent(client), client_secret: client.secret })
  ).json
  const refresh = { grant_type: 'refresh_token', refresh_token: first.refresh_token ?? '' }
  const second = (await exchange({ ...refresh, client_secret: client.secret })).json
  assert.is(second.refresh_token, first.refresh_token)
  assert.is((await as(first.access_token ?? '', 'GET', '/account')).status, 401)
  assert.is((await as(second.access_token ?? '', 'GET', '/account')).status, 200)
  const other = await make()
  assert.is((await exchange({ ...refresh, client_secret: other.secret })).json.error, 'invalid_grant')
  assert.is((await exchange({ ...refresh, refresh_token: 'x', client_secret: client.secret })).status, 400)
  await host.request('DELETE', `/oauth/clients/${client.id}`)
  assert.is((await as(second.access_token ?? '', 'GET', '/account')).status, 401)
})

test('a token of a client ends after eight hours, its refresh token does not', async () => {
  const client = await make()
  const first = (
    await exchange({ grant_type: 'authorization_code', code: await consent(client), client_secret: client.secret })
  ).json
  await d.db
    .updateTable('authorizations')
    .set({ expires_at: Date.now() - 1 })
    .where('client_id', '=', client.id)
    .execute()
  assert.is((await as(first.access_token ?? '', 'GET', '/account')).status, 401)
  await as(annsToken, 'POST', '/oauth/authorizations', { description: 'this sweeps what has expired' })
  const refresh = {
    grant_type: 'refresh_token',
    refresh_token: first.refresh_token ?? '',
    client_secret: client.secret,
  }
  assert.is((await exchange(refresh)).status, 200)
})

test('a code is good once, for its client, for five minutes; shown again, all that came of it is revoked', async () => {
  const client = await make()
  const other = await make()
  const code = await consent(client)
  const by = (secret: string) => exchange({ grant_type: 'authorization_code', code, client_secret: secret })
  assert.is((await by(other.secret)).json.error, 'invalid_grant')
  const { access_token } = (await by(client.secret)).json
  assert.is((await as(access_token ?? '', 'GET', '/account')).status, 200)
  assert.is((await by(client.secret)).json.error, 'invalid_grant')
  assert.is((await as(access_token ?? '', 'GET', '/account')).status, 401)
  const late = await consent(client)
  await d.db
    .updateTable('grants')
    .set({ expires_at: Date.now() - 1 })
    .where('used_at', 'is', null)
    .execute()
  const answer = await exchange({ grant_type: 'authorization_code', code: late, client_secret: client.secret })
  assert.is(answer.json.error, 'invalid_grant')
  await consent(client)
  const waiting = await d.db.selectFrom('grants').selectAll().where('used_at', 'is', null).execute()
  assert.is(waiting.length, 1)
})

test('two exchanges of one code at once: one gets tokens, and loses them again', async () => {
  const client = await make()
  const fields = { grant_type: 'authorization_code', code: await consent(client), client_secret: client.secret }
  const answers = await Promise.all([exchange(fields), exchange(fields)])
  assert.equal(answers.map(({ status }) => status).sort(), [200, 400])
  const token = answers.find(({ status }) => status === 200)?.json.access_token ?? ''
  assert.is((await as(token, 'GET', '/account')).status, 401)
})

test('nobody is sent to an address that is not the client’s, and a refusal is told to the client', async () => {
  const client = await make()
  const evil = { client_id: client.id, redirect_uri: 'https://evil.example.com/', email, password }
  assert.is((await authorize(evil)).status, 422)
  assert.is((await authorize({ client_id: 'x', email, password })).status, 422)
  assert.is((await authorize({ client_id: client.id, scope: 'all', email, password })).status, 422)
  const wrong = await authorize({ client_id: client.id, email, password: 'x' })
  assert.is(wrong.status, 401)
  assert.match(await wrong.text(), 'Email or password is wrong')
  const denied = await authorize({ client_id: client.id, state: 'z', decision: 'deny' })
  assert.is(denied.headers.get('location'), 'https://client.example.com/callback?keep=1&error=access_denied&state=z')
})

test('credentials of clients come in the body or as Basic, and must fit', async () => {
  const client = await make()
  const code = await consent(client)
  const fields = { grant_type: 'authorization_code', code }
  assert.is(
    (await exchange({ ...fields, client_id: 'another', client_secret: client.secret })).json.error,
    'invalid_client',
  )
  assert.is((await exchange(fields)).json.error, 'invalid_client')
  assert.is(
    (await exchange({ ...fields, grant_type: 'password', client_secret: client.secret })).json.error,
    'unsupported_grant_type',
  )
  const basic = Buffer.from(`${client.id}:${client.secret}`).toString('base64')
  const options: Options = { token: null, headers: { authorization: `Basic ${basic}` }, body: fields }
  assert.is((await host.request('POST', '/oauth/token', options)).status, 200)
})

test('the schema’s own form: an authorization for a client, its code, its tokens, and their end', async () => {
  const client = await make()
  const made = (await as(annsToken, 'POST', '/oauth/authorizations', { client: client.id, scope: ['read'] })).json
  assert.equal([made.access_token, made.client.id], [null, client.id])
  assert.ok(made.grant.expires_in > 290)
  const body = { client: { secret: client.secret }, grant: { type: 'authorization_code', code: made.grant.code } }
  const tokens = await host.request('POST', '/oauth/tokens', { token: null, body })
  assert.is(tokens.status, 201)
  const { token } = tokens.json.access_token
  assert.is((await as(token, 'GET', '/apps')).status, 200)
  assert.is(
    (await host.request('POST', '/oauth/tokens', { token: null, body: { ...body, client: { secret: 'x' } } })).status,
    401,
  )
  const id = tokens.json.id
  assert.is((await host.request('DELETE', `/oauth/tokens/${id}`)).status, 404)
  assert.is((await as(annsToken, 'DELETE', `/oauth/tokens/${id}`)).json.id, id)
  assert.is((await as(token, 'GET', '/apps')).status, 401)
})

test('scopes: a token does what it is for, and no more', async () => {
  await as(annsToken, 'POST', '/apps', { name: 'scoped' })
  await as(annsToken, 'PATCH', '/apps/scoped/config-vars', { SECRET: 'x' })
  const requests: [string, string, object?][] = [
    ['GET', '/account'],
    ['GET', '/apps/scoped'],
    ['GET', '/apps/scoped/config-vars'],
    ['PATCH', '/apps/scoped', { maintenance: true }],
    ['PATCH', '/apps/scoped/config-vars', { SECRET: 'y' }],
    ['POST', '/oauth/authorizations', { scope: ['global'] }],
    ['GET', '/Account/'],
    ['GET', '/apps/scoped/CONFIG-VARS/'],
    ['PATCH', '/teams/apps/scoped', { owner: 'sluice' }],
  ]
  const wanted: Record<string, number[]> = {
    identity: [200, 403, 403, 403, 403, 403, 200, 403, 403],
    read: [403, 200, 403, 403, 403, 403, 403, 403, 403],
    'read-protected': [403, 200, 200, 403, 403, 403, 403, 200, 403],
    write: [403, 200, 403, 200, 403, 403, 403, 403, 403],
    'write-protected': [403, 200, 200, 200, 200, 403, 403, 200, 403],
  }
  for (const [scope, statuses] of Object.entries(wanted)) {
    const made = (await as(annsToken, 'POST', '/oauth/authorizations', { scope: [scope] })).json
    assert.equal(made.scope, [scope])
    const got: number[] = []
    for (const [method, path, body] of requests)
      got.push((await as(made.access_token.token, method, path, body)).status)
    assert.equal(got, statuses, scope)
  }
  const { token } = (await as(annsToken, 'POST', '/oauth/authorizations', { scope: ['identity'] })).json.access_token
  assert.equal((await as(token, 'GET', '/apps')).json, {
    id: 'forbidden',
    message: 'The scope of this OAuth authorization does not allow access to this resource.',
  })
  assert.is((await as(annsToken, 'POST', '/oauth/authorizations', { scope: ['all'] })).status, 422)
  const admins = (await host.request('POST', '/oauth/authorizations', { body: { scope: ['identity'] } })).json
  const statusOf = async (path: string) => (await as(admins.access_token.token, 'GET', path)).status
  assert.equal([await statusOf('/users/~'), await statusOf(`/users/${email}`)], [200, 404])
})

test('an authorization is set to a client by its id and secret', async () => {
  const client = await make()
  const made = (await as(annsToken, 'POST', '/oauth/authorizations', { description: 'mine' })).json
  const one = `/oauth/authorizations/${made.id}`
  const bad = await as(annsToken, 'PATCH', one, { client: { id: client.id, secret: 'x' } })
  assert.is(bad.status, 401)
  const good = await as(annsToken, 'PATCH', one, {
    client: { id: client.id, secret: client.secret },
    description: 'its',
  })
  assert.equal([good.json.client.id, good.json.description], [client.id, 'its'])
})

test('of the authorizations of one client the newest are kept, so that it does not use up the tokens of an account', async () => {
  const { id } = await make()
  const client = await d.db.selectFrom('clients').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  const { account: often, token } = await host.invite('often@example.com')
  const wish = { client, scope: ['identity' as const], description: 'x' }
  const ids = [(await grantAuthorization(d, often, wish)).authorization.id]
  await d.db.updateTable('authorizations').set({ created_at: 1 }).where('id', 'in', ids).execute()
  for (let count = 0; count < limits.authorizationsPerClient; count++)
    ids.push((await grantAuthorization(d, often, wish)).authorization.id)
  const left = (await as(token, 'GET', '/oauth/authorizations')).json.map((one: { id: string }) => one.id)
  assert.is(left.length, limits.authorizationsPerClient + 1, 'with that of the test')
  assert.not(left.includes(ids[0]))
})

test('an account has a bounded number of tokens', async () => {
  const { account: collector, token } = await host.invite('collects@example.com')
  const row = {
    account_id: collector.id,
    description: 'x',
    token_hint: 'x',
    scope: '["global"]',
    created_at: 1,
    updated_at: 1,
  }
  const rows = Array.from({ length: limits.tokensPerAccount - 1 }, (_, i) => ({
    ...row,
    id: `t${i}`,
    token_hash: `h${i}`,
  }))
  await d.db.insertInto('authorizations').values(rows).execute()
  const { status, json } = await as(token, 'POST', '/oauth/authorizations', {})
  assert.is(status, 422)
  assert.match(json.message, 'at most 1000 tokens')
})

test('a token that has expired is refused, and swept away by the next', async () => {
  const made = (await as(annsToken, 'POST', '/oauth/authorizations', { expires_in: 1 })).json
  await d.db
    .updateTable('authorizations')
    .set({ expires_at: Date.now() - 1 })
    .where('id', '=', made.id)
    .execute()
  assert.is((await as(made.access_token.token, 'GET', '/account')).status, 401)
  await as(annsToken, 'POST', '/oauth/authorizations', {})
  assert.is((await as(annsToken, 'GET', `/oauth/authorizations/${made.id}`)).status, 404)
})

test.run()
