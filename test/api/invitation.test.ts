import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { accountNamed } from '../../daemon/account/account.ts'
import { createAuthorization } from '../../daemon/account/authorization.ts'
import { acceptInvitation, inviteAccount, listInvitations, revokeInvitation } from '../../daemon/account/invitation.ts'
import { limits } from '../../daemon/limits.ts'
import { type Options, startHost } from './host.ts'

const host = await startHost()
test.after(() => host.close())
const { d } = host

const admin = await accountNamed(d.db, 'admin@example.com')
if (!admin) throw new Error('there is no administrator')
const member = (await host.invite('member@example.com')).account

const password = 'correct horse battery'
const form = (fields: Record<string, string>): Options => ({
  token: null,
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
  body: new URLSearchParams(fields).toString(),
})
const invite = (email: string, role: 'admin' | 'member' = 'member') => inviteAccount(d, admin, { email, role })
const open = (token: string) => host.request('GET', `/invitations/${token}`, { token: null })
const accept = (token: string, fields: Record<string, string> = { name: 'Bo', password, again: password }) =>
  host.request('POST', `/invitations/${token}`, form(fields))
const logIn = (email: string, secret = password) =>
  host.request('POST', '/oauth/authorizations', {
    token: null,
    headers: { authorization: `Basic ${Buffer.from(`${email}:${secret}`).toString('base64')}` },
    body: {},
  })
const refused = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'it went through',
    (error) => error.message,
  )

test('an invited person chooses name and password, and can log in', async () => {
  const { token } = await invite('bo@example.com')
  const page = await open(token)
  assert.is(page.status, 200)
  assert.match(page.text, 'You are invited as <strong>bo@example.com</strong>')
  assert.is(page.headers.get('cache-control'), 'no-store')
  assert.is(page.headers.get('referrer-policy'), 'no-referrer')
  const done = await accept(token)
  assert.is(done.status, 200)
  assert.match(done.text, 'heroku login -i')
  const { json } = await logIn('bo@example.com')
  const me = (await host.request('GET', '/account', { token: json.access_token.token })).json
  assert.equal([me.email, me.name], ['bo@example.com', 'Bo'])
  assert.is((await accountNamed(d.db, 'bo@example.com'))?.admin, 0)
})

test('a link is good once', async () => {
  const { token } = await invite('once@example.com', 'admin')
  const answers = await Promise.all([accept(token), accept(token)])
  assert.equal(answers.map(({ status }) => status).sort(), [200, 404])
  assert.is((await accountNamed(d.db, 'once@example.com'))?.admin, 1)
  const again = await open(token)
  assert.is(again.status, 404)
  assert.match(again.text, 'Couldn&#39;t find that invitation')
})

test('a form that will not do comes back with the reason, and the link stays good', async () => {
  const { token } = await invite('careful@example.com')
  const different = await accept(token, { name: '<i>', password, again: 'another' })
  assert.is(different.status, 422)
  assert.match(different.text, 'not the same')
  assert.match(different.text, 'value="&lt;i&gt;"')
  assert.match((await accept(token, { password: 'short', again: 'short' })).text, 'at least 12 characters')
  assert.is((await host.request('POST', `/invitations/${token}`, { token: null, body: {} })).status, 415)
  assert.is((await accept(token, { name: 'x'.repeat(limits.formBody), password, again: password })).status, 413)
  assert.is((await accept(token)).status, 200)
})

test('inviting again replaces the link before; revoked and expired links open nothing', async () => {
  const first = await invite('twice@example.com')
  const second = await invite('Twice@example.com')
  assert.is((await open(first.token)).status, 404)
  assert.is((await open(second.token)).status, 200)
  await revokeInvitation(d, admin, 'twice@example.com')
  assert.is((await open(second.token)).status, 404)
  const third = await invite('twice@example.com')
  await d.db
    .updateTable('invitations')
    .set({ expires_at: Date.now() - 1 })
    .execute()
  assert.is((await open(third.token)).status, 404)
  assert.equal(await listInvitations(d.db, d.clock.now()), [])
})

test('only administrators invite, only addresses that can be one, and nobody who is here', async () => {
  assert.match(
    await refused(inviteAccount(d, member, { email: 'x@example.com', role: 'admin' })),
    'Only an administrator',
  )
  for (const email of [
    '',
    'x',
    'x@',
    '@example.com',
    'a b@example.com',
    'x@example..com',
    '\u00fc@example.com',
    `${'x'.repeat(300)}@example.com`,
  ])
    assert.match(await refused(invite(email)), 'is not an email address', email)
  assert.match(await refused(invite('Member@example.com')), 'has an account here already')
})

test('only the hash of a link is stored, and its making is on record', async () => {
  const { token } = await invite('secret@example.com')
  assert.not.match(JSON.stringify(await d.db.selectFrom('invitations').selectAll().execute()), token)
  const [last] = (await host.request('GET', '/activities')).json
  assert.equal([last.text, last.user.email], ['Invited secret@example.com as member', 'admin@example.com'])
  assert.not.match(host.logged.join(''), token)
})

test('an administrator resets a password by a link in the warning; the old one is good until then, sessions end', async () => {
  await accept((await invite('lost@example.com')).token)
  const { token: session } = (await logIn('lost@example.com')).json.access_token
  const made = await host.request('POST', '/password-resets', { body: { email: 'lost@example.com' } })
  assert.is(made.status, 201)
  assert.is(made.json.user.email, 'lost@example.com')
  const [, token = ''] = /\/invitations\/([\w-]+)$/.exec(made.headers.get('x-heroku-warning') ?? '') ?? []
  assert.match((await open(token)).text, 'Choose a new password for <strong>lost@example.com</strong>')
  assert.is((await logIn('lost@example.com')).status, 201)
  assert.is((await accept(token, { password: 'remember this one', again: 'remember this one' })).status, 200)
  assert.is((await logIn('lost@example.com')).status, 401)
  assert.is((await logIn('lost@example.com', 'remember this one')).status, 201)
  assert.is((await host.request('GET', '/account', { token: session })).status, 401)
  assert.equal(await listInvitations(d.db, d.clock.now()).then((all) => all.map(({ email }) => email)), [
    'secret@example.com',
  ])
})

test('a reset can be finished over the API, and is for administrators to begin', async () => {
  const { headers } = await host.request('POST', '/password-resets', { body: { email: 'bo@example.com' } })
  const [, token = ''] = /\/invitations\/([\w-]+)$/.exec(headers.get('x-heroku-warning') ?? '') ?? []
  const path = `/password-resets/${token}/actions/finalize`
  const finalize = (body: object) => host.request('POST', path, { token: null, body })
  assert.is((await finalize({ password: 'abc', password_confirmation: 'abc' })).status, 422)
  assert.is((await finalize({ password: 'a'.repeat(12), password_confirmation: 'b'.repeat(12) })).status, 422)
  assert.is((await finalize({ password: 'over the api now', password_confirmation: 'over the api now' })).status, 200)
  assert.is((await finalize({ password: 'over the api now', password_confirmation: 'over the api now' })).status, 404)
  assert.is((await logIn('bo@example.com', 'over the api now')).status, 201)
  const { access_token } = await createAuthorization(d.db, member, {
    ...{ description: 'x', scope: ['global'], expiresIn: null, now: d.clock.now() },
  }).then(({ token }) => ({ access_token: token }))
  const foreign = await host.request('POST', '/password-resets', {
    token: access_token,
    body: { email: 'bo@example.com' },
  })
  assert.is(foreign.status, 403)
  assert.is((await host.request('POST', '/password-resets', { body: { email: 'who@example.com' } })).status, 404)
})

test('an invitation that was accepted meanwhile makes no second account', async () => {
  const { token } = await invite('race@example.com')
  await host.invite('race@example.com')
  assert.match(await refused(acceptInvitation(d, token, { password })), 'has an account here already')
})

test.run()
