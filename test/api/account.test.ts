import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { accountNamed } from '../../daemon/account/account.ts'
import { listAuthorizations } from '../../daemon/account/authorization.ts'
import { limits } from '../../daemon/limits.ts'
import { startHost } from './host.ts'
import { makeSshKey } from './ssh-key.ts'

const host = await startHost()
test.after(() => host.close())

const get = async (path: string, token = host.token) => (await host.request('GET', path, { token })).json
const send = (method: string, path: string, body?: unknown, token = host.token) =>
  host.request(method, path, { token, ...(body === undefined ? {} : { body }) })
const newKey = () => makeSshKey('me@host').public

test('name, tracking and beta are kept', async () => {
  const { token } = await host.invite('keeps@example.com')
  const changed = await send('PATCH', '/account', { name: 'Ann', allow_tracking: true, beta: true }, token)
  assert.is(changed.status, 200)
  const { name, allow_tracking, beta } = await get('/users/~', token)
  assert.equal([name, allow_tracking, beta], ['Ann', true, true])
  assert.is((await send('PATCH', '/users/keeps@example.com', { beta: false }, token)).json.beta, false)
  assert.is((await send('PATCH', '/account', { name: null }, token)).json.name, null)
  assert.is((await send('PATCH', '/account', { beta: 'yes' }, token)).status, 422)
  assert.is((await send('PATCH', '/users/keeps@example.com', { name: 'x' })).status, 403)
  assert.is((await send('PATCH', '/users/admin@example.com', { name: 'x' }, token)).status, 404)
})

test('what there is not is answered in form', async () => {
  assert.equal(await get('/account/features'), [])
  for (const path of ['/account/features/x', '/users/~/sms-number', '/account/nothing'])
    assert.is((await get(path)).id, 'not_found', path)
  assert.is((await send('PATCH', '/account/features/x', { enabled: true })).json.resource, 'account_feature')
})

test('keys are added once, listed, found by id and fingerprint, and removed', async () => {
  const public_key = newKey()
  const made = await send('POST', '/account/keys', { public_key })
  assert.is(made.status, 201)
  const { id, comment, email, fingerprint } = made.json
  assert.equal([made.json.public_key, comment, email], [public_key, 'me@host', 'me@host'])
  assert.equal(
    (await get('/account/keys')).map((key: { id: string }) => key.id),
    [id],
  )
  for (const which of [id, fingerprint]) assert.is((await get(`/account/keys/${which}`)).id, id)
  const again = await send('POST', '/account/keys', { public_key })
  assert.is(again.status, 422)
  assert.match(again.json.message, 'already added')
  const { token } = await host.invite('keyless@example.com')
  const others = await send('POST', '/account/keys', { public_key }, token)
  assert.match(others.json.message, 'Each account must have a unique key')
  assert.is((await send('DELETE', `/account/keys/${id}`, undefined, token)).json.resource, 'key')
  assert.is((await send('DELETE', `/account/keys/${id}`)).json.id, id)
  assert.equal(await get('/account/keys'), [])
  assert.is((await send('POST', '/account/keys', { public_key: 'ssh-rsa x' })).status, 422)
})

test('the same key at the same time is added once; an account has a bounded number', async () => {
  const public_key = newKey()
  const answers = await Promise.all(Array.from({ length: 5 }, () => send('POST', '/account/keys', { public_key })))
  assert.equal(answers.map(({ status }) => status).sort(), [201, 422, 422, 422, 422])
  const { account, token } = await host.invite('collects@example.com')
  const rows = Array.from({ length: limits.keysPerAccount }, (_, i) => {
    const row = { id: `k${i}`, account_id: account.id, public_key: 'x', comment: '', fingerprint: `f${i}` }
    return { ...row, created_at: 1, updated_at: 1 }
  })
  await host.d.db.insertInto('keys').values(rows).execute()
  assert.match((await send('POST', '/account/keys', { public_key: newKey() }, token)).json.message, 'at most 100 keys')
})

test('an account that is removed can do nothing more, its address is free, and its work keeps its name', async () => {
  const { account, token } = await host.invite('leaver@example.com')
  await send('POST', '/apps', { name: 'shared-work' })
  await send('POST', '/apps/shared-work/collaborators', { user: 'leaver@example.com' })
  await send('PATCH', '/apps/shared-work/config-vars', { A: 'b' }, token)
  await send('POST', '/apps', { name: 'leavers' }, token)
  const refused = await send('DELETE', '/account', undefined, token)
  assert.is(refused.status, 422)
  assert.match(refused.json.message, 'owns leavers. Transfer or destroy its apps first')
  await send('DELETE', '/apps/leavers', undefined, token)
  await host.settled()
  assert.is((await send('DELETE', '/users/leaver@example.com')).json.email, 'leaver@example.com')
  assert.is((await send('GET', '/account', undefined, token)).status, 401)
  assert.equal(await listAuthorizations(host.d.db, account), [])
  assert.is(await accountNamed(host.d.db, account.id), undefined)
  assert.is((await send('GET', '/users/leaver@example.com')).status, 404)
  assert.not.match(JSON.stringify(await get('/apps/shared-work/collaborators')), 'leaver')
  assert.match(
    (await get('/apps/shared-work/releases/2')).user.email,
    /^leaver@example\.com\.removed-[0-9a-f]{8}\.invalid$/,
  )
  const again = await host.invite('leaver@example.com')
  assert.is((await send('GET', '/apps/shared-work', undefined, again.token)).status, 404)
  assert.is((await send('DELETE', '/account', undefined, again.token)).status, 200)
})

test('the last administrator stays, and nobody removes others but administrators', async () => {
  const { token } = await host.invite('small@example.com')
  assert.is((await send('DELETE', '/users/admin@example.com', undefined, token)).status, 404)
  for (const { name } of await get('/apps')) await send('DELETE', `/apps/${name}`)
  const { status, json } = await send('DELETE', '/account')
  assert.is(status, 422)
  assert.match(json.message, 'is the last administrator')
})

test('the audit trail of an app: what was done to it, newest first, in parts', async () => {
  await send('POST', '/apps', { name: 'audited' })
  await send('PATCH', '/apps/audited/config-vars', { TOKEN: 'very secret' })
  await send('DELETE', '/apps/audited/dynos')
  await send('POST', '/apps/audited/formations/web/actions/stop')
  const all = await host.request('GET', '/apps/audited/activities')
  assert.equal(
    all.json.map(({ text }: { text: string }) => text),
    ['Restarted all dynos', 'Set TOKEN config vars (v2)', 'Initial release (v1)'],
  )
  assert.equal([all.json[0].user.email, typeof all.json[0].origin], ['admin@example.com', 'string'])
  assert.not.match(all.text, 'very secret')
  const part = await host.request('GET', '/apps/audited/activities', {
    headers: { range: 'seq ..; order=desc, max=2' },
  })
  assert.is(part.status, 206)
  const next = { range: part.headers.get('next-range') ?? '' }
  const rest = await host.request('GET', '/apps/audited/activities', { headers: next })
  assert.equal(
    rest.json.map(({ text }: { text: string }) => text),
    ['Initial release (v1)'],
  )
  const oldest = await host.request('GET', '/apps/audited/activities', {
    headers: { range: 'seq ..; order=asc, max=1' },
  })
  assert.is(oldest.json[0].text, 'Initial release (v1)')
  const [, second, third] = all.json.map(({ seq }: { seq: number }) => seq)
  for (const range of [`${third}..${second}`, `${second}..${third}`, `${second}..${third}; order=desc`]) {
    const between = await host.request('GET', '/apps/audited/activities', { headers: { range: `seq ${range}` } })
    assert.is(between.json.length, 2, range)
  }
  assert.is((await host.request('GET', '/activities', { headers: { range: 'seq x..' } })).status, 416)
})

test('the audit trail is for those who may manage the app, and that of everything for administrators', async () => {
  const { token } = await host.invite('curious@example.com')
  await send('POST', '/apps/audited/collaborators', { user: 'curious@example.com' })
  assert.is((await send('GET', '/apps/audited/activities', undefined, token)).status, 403)
  assert.is((await send('GET', '/activities', undefined, token)).status, 403)
  await send('POST', '/oauth/authorizations', { description: 'for ci', scope: ['read'] }, token)
  assert.match((await get('/activities'))[0].text, /^Made the token [0-9a-f-]{36} \(for ci; read\)$/)
})

test('an account has its allowance of requests; what is left is told, and asking for it is free', async () => {
  const strict = await startHost({ SLUICE_RATE_LIMIT: '5' })
  try {
    const left = async () => (await strict.request('GET', '/account/rate-limits')).json.remaining
    assert.is(await left(), 5)
    const seen: (string | null)[] = []
    for (let i = 0; i < 5; i++) seen.push((await strict.request('GET', '/apps')).headers.get('ratelimit-remaining'))
    assert.equal(seen, ['4', '3', '2', '1', '0'])
    const { status, json, headers } = await strict.request('GET', '/apps')
    assert.is(status, 429)
    assert.is(json.id, 'rate_limit')
    assert.match(json.message, 'Your account reached the API rate limit')
    assert.ok(Number(headers.get('retry-after')) > 600)
    assert.is(await left(), 0)
    const { token } = await strict.invite('other@example.com')
    assert.is((await strict.request('GET', '/apps', { token })).status, 200)
  } finally {
    await strict.close()
  }
})

test.run()
