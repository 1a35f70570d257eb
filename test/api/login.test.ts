import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createAttempts } from '../../daemon/account/attempt.ts'
import { hashPassword, setPassword } from '../../daemon/account/password.ts'
import { limits } from '../../daemon/limits.ts'
import { decide } from '../../daemon/store/database.ts'
import { type Options, startHost } from './host.ts'

const host = await startHost()
test.after(() => host.close())
test.before.each(() => {
  host.d.attempts = createAttempts(host.d.clock)
})

const email = 'ann@example.com'
const password = 'correct horse battery'
const { account, token: annsToken } = await host.invite(email)
const hash = await hashPassword(password)
await decide(host.d.db, (tx) => setPassword(tx, account, hash, host.d.clock.now()))

const basic = (user: string, secret: string) => ({
  token: null,
  headers: { authorization: `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}` },
})
const wish = { description: 'Heroku CLI login from test', expires_in: 2592000, scope: ['global'] }
const logIn = (user = email, secret = password) =>
  host.request('POST', '/oauth/authorizations', { ...basic(user, secret), body: wish })
const as = (token: string, method: string, path: string, options: Options = {}) =>
  host.request(method, path, { token, ...options })
const form = (fields: Record<string, string>): Options => ({
  token: null,
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
  body: new URLSearchParams(fields).toString(),
})
const lately = async () => (await host.request('GET', '/activities')).json.map(({ text }: { text: string }) => text)

test('email and password make a session with a token, and are good for nothing else', async () => {
  const { status, json } = await logIn()
  assert.is(status, 201)
  assert.is(json.user.email, email)
  assert.ok(json.session.id)
  assert.ok(json.access_token.expires_in > 2_591_000)
  const { token } = json.access_token
  const { json: me } = await as(token, 'GET', '/account')
  assert.is(me.email, email)
  assert.ok(Date.now() - Date.parse(me.last_login) < 60_000)
  const sessions = (await as(token, 'GET', '/oauth/sessions')).json
  assert.ok(
    sessions.some(
      ({ id, description }: Record<string, string>) => id === json.session.id && description === wish.description,
    ),
  )
  for (const [method, path] of [
    ['GET', '/account'],
    ['GET', '/oauth/authorizations'],
    ['POST', '/apps'],
  ] as const)
    assert.is((await host.request(method, path, basic(email, password))).status, 401, path)
  assert.match((await lately())[0], 'Logged in: Heroku CLI login from test')
})

test('the email is matched without regard to case, and a token still works in place of the password', async () => {
  assert.is((await logIn('ANN@Example.com')).status, 201)
  const { status, json } = await logIn(email, annsToken)
  assert.is(status, 201)
  assert.is(json.session, null)
})

test('a wrong password and an unknown email get the same answer, and are on record without what was typed', async () => {
  const wrong = await logIn(email, 'wrong horse battery')
  const unknown = await logIn('nobody@example.com', 'wrong horse battery')
  const byId = await logIn(account.id)
  for (const { status, json } of [wrong, unknown, byId]) {
    assert.is(status, 401)
    assert.equal(json, { id: 'unauthorized', message: 'Invalid credentials provided.' })
  }
  const { json } = await host.request('GET', '/activities', { headers: { range: 'seq ..; order=desc, max=3' } })
  assert.equal(
    json.map(({ user }: { user: { email: string } | null }) => user?.email),
    [undefined, undefined, email],
  )
  assert.ok(json.every(({ text, origin }: Record<string, string>) => text === 'A login was refused' && origin))
  assert.not.match(JSON.stringify(json), 'nobody@')
})

test('a password is never logged, and never in the database', async () => {
  assert.not.match(host.logged.join(''), password)
  const tables = ['accounts', 'passwords', 'sessions', 'authorizations', 'activities'] as const
  for (const table of tables)
    assert.not.match(JSON.stringify(await host.d.db.selectFrom(table).selectAll().execute()), password)
})

test('who guesses is told to wait, and the right password gets in afterwards', async () => {
  let now = Date.now()
  host.d.attempts = createAttempts({ now: () => now, at: () => () => {} })
  const all = await Promise.all(Array.from({ length: limits.loginsPerAddress.size }, () => logIn(email, 'x')))
  for (const one of all.filter(({ status }) => status !== 401)) assert.is(one.status, 429)
  while ((await logIn(email, 'x')).status !== 429);
  const held = await logIn()
  assert.is(held.status, 429)
  assert.is(held.json.id, 'rate_limit')
  assert.match(held.json.message, /too many failed logins. Try again in \d+ s/)
  now += Number(held.headers.get('retry-after')) * 1000
  assert.is((await logIn()).status, 201)
})

test('a session ends with its token, by whichever it is ended', async () => {
  const first = (await logIn()).json
  await as(first.access_token.token, 'DELETE', `/oauth/authorizations/${first.id}`)
  const second = (await logIn()).json
  const { token } = second.access_token
  const ids = (await as(token, 'GET', '/oauth/sessions')).json.map(({ id }: { id: string }) => id)
  assert.not.ok(ids.includes(first.session.id))
  assert.ok(ids.includes(second.session.id))
  assert.is((await as(token, 'DELETE', '/oauth/sessions/~')).json.id, second.session.id)
  assert.is((await as(token, 'GET', '/account')).status, 401)
  const gone = await as(annsToken, 'DELETE', '/oauth/sessions/~')
  assert.is(gone.status, 404)
  assert.is(gone.json.resource, 'session')
})

test('nobody sees or ends the sessions of others', async () => {
  const { session } = (await logIn()).json
  assert.is((await host.request('DELETE', `/oauth/sessions/${session.id}`)).status, 404)
  const others = (await host.request('GET', '/oauth/sessions')).json
  assert.not.ok(others.some(({ id }: { id: string }) => id === session.id))
})

test('a session that has expired is not listed, and its token is refused', async () => {
  const { session, access_token } = (await logIn()).json
  const past = { expires_at: Date.now() - 1 }
  await host.d.db.updateTable('sessions').set(past).where('id', '=', session.id).execute()
  await host.d.db.updateTable('authorizations').set(past).where('session_id', '=', session.id).execute()
  assert.is((await as(access_token.token, 'GET', '/account')).status, 401)
  const ids = (await as(annsToken, 'GET', '/oauth/sessions')).json.map(({ id }: { id: string }) => id)
  assert.not.ok(ids.includes(session.id))
})

test('heroku login: a machine asks, a person says yes in a browser, the machine gets its token once', async () => {
  const begun = await host.request('POST', '/auth', { token: null, body: { description: 'CLI on <b>"x"' } })
  const { browser_url, cli_url, token } = begun.json
  const page = await host.request('GET', browser_url, { token: null })
  assert.is(page.status, 200)
  assert.match(page.text, 'CLI on &lt;b&gt;&quot;x&quot;')
  assert.match(page.headers.get('content-security-policy') ?? '', "default-src 'none'")
  assert.is(page.headers.get('cache-control'), 'no-store')
  assert.not.match(page.text, '<script')
  const answer = host.request('GET', cli_url, { token })
  const wrong = await host.request('POST', browser_url, form({ email, password: 'x' }))
  assert.is(wrong.status, 401)
  assert.match(wrong.text, 'Email or password is wrong')
  assert.match((await host.request('POST', browser_url, form({ email, password }))).text, 'Go back to your terminal')
  const { json } = await answer
  assert.match((await lately())[0], 'Logged in: CLI on')
  assert.is((await as(json.access_token, 'GET', '/account')).json.email, email)
  assert.is((await host.request('GET', cli_url, { token })).status, 404)
  assert.is((await host.request('GET', browser_url, { token: null })).status, 404)
})

test('a login in the browser can be refused, and is only for whoever has begun it', async () => {
  const { browser_url, cli_url, token } = (await host.request('POST', '/auth', { token: null })).json
  assert.is((await host.request('GET', cli_url, { token: 'guessed' })).status, 404)
  const answer = host.request('GET', cli_url, { token })
  assert.is((await host.request('POST', browser_url, form({ decision: 'deny' }))).status, 200)
  assert.match((await answer).json.error, 'refused in the browser')
})

test('a poll that was cut off loses nothing: the next one gets the token', async () => {
  const { browser_url, cli_url, token } = (await host.request('POST', '/auth', { token: null })).json
  const cut = new AbortController()
  const first = await fetch(host.url + cli_url, { headers: { authorization: `Bearer ${token}` }, signal: cut.signal })
  cut.abort()
  await first.text().catch(() => {})
  await host.request('POST', browser_url, form({ email, password }))
  assert.ok((await host.request('GET', cli_url, { token })).json.access_token)
})

test('a login that was allowed with a password that is no longer good gets no token', async () => {
  const { browser_url, cli_url, token } = (await host.request('POST', '/auth', { token: null })).json
  assert.is((await host.request('POST', browser_url, form({ email, password }))).status, 200)
  await decide(host.d.db, (tx) => setPassword(tx, account, hash, host.d.clock.now()))
  assert.equal((await host.request('GET', cli_url, { token })).json, { error: 'Invalid credentials provided.' })
})

test('logins that wait for a browser are bounded', async () => {
  let last = 201
  for (let i = 0; i <= limits.browserLoginsPerAddress && last === 201; i++)
    last = (await host.request('POST', '/auth', { token: null })).status
  assert.is(last, 429)
})

test('a password is changed with the old one; other sessions end, this one and tokens stay', async () => {
  const [here, elsewhere] = [(await logIn()).json.access_token.token, (await logIn()).json.access_token.token]
  const change = (body: object) => as(here, 'PATCH', '/account', { body })
  assert.is((await change({ password: 'x', new_password: 'a much better one' })).status, 401)
  assert.is((await change({ new_password: 'a much better one' })).status, 401)
  assert.is((await change({ password, new_password: 'short' })).status, 422)
  assert.is((await change({ password, new_password: 'a much better one' })).status, 200)
  assert.is((await logIn()).status, 401)
  assert.is((await logIn(email, 'a much better one')).status, 201)
  for (const [token, status] of [
    [here, 200],
    [elsewhere, 401],
    [annsToken, 200],
  ] as const)
    assert.is((await as(token, 'GET', '/account')).status, status)
  assert.ok((await lately()).includes('Changed the password'))
})

test('the administrator, who begins without a password, sets the first one with its token', async () => {
  assert.is((await logIn('admin@example.com', 'anything at all')).status, 401)
  const body = { new_password: 'the admins own words' }
  assert.is((await host.request('PATCH', '/account', { body })).status, 200)
  assert.is((await host.request('PATCH', '/account', { body })).status, 401)
  assert.is((await logIn('admin@example.com', 'the admins own words')).status, 201)
})

test.run()
