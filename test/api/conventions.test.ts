import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Host, startHost } from './host.ts'

let host: Host
test.before(async () => {
  host = await startHost()
})
test.after(() => host.close())

test('without a valid token the answer is 401 and says how to give one', async () => {
  for (const token of [null, 'wrong']) {
    const { status, headers, json } = await host.request('GET', '/account', { token })
    assert.is(status, 401)
    assert.match(headers.get('www-authenticate') ?? '', /^Basic /)
    assert.equal(json, { id: 'unauthorized', message: 'Invalid credentials provided.' })
  }
})

test('the token may be the password of Basic', async () => {
  const authorization = `Basic ${Buffer.from(`heroku:${host.token}`).toString('base64')}`
  const { json } = await host.request('GET', '/account', { token: null, headers: { authorization } })
  assert.is(json.email, 'admin@example.com')
})

test('an expired token is refused', async () => {
  const { json } = await host.request('POST', '/oauth/authorizations', { body: { expires_in: '60' } })
  const { token } = json.access_token
  assert.is((await host.request('GET', '/account', { token })).status, 200)
  await host.d.db
    .updateTable('authorizations')
    .set({ expires_at: Date.now() - 1 })
    .where('id', '=', json.id)
    .execute()
  assert.is((await host.request('GET', '/account', { token })).status, 401)
})

test('answers have Heroku’s media type, the id of the request, and what is left of the rate limit', async () => {
  const { headers } = await host.request('GET', '/account', { headers: { 'request-id': 'mine-1,older-2' } })
  assert.is(headers.get('content-type'), 'application/vnd.heroku+json; version=3; charset=utf-8')
  assert.is(headers.get('request-id'), 'mine-1')
  assert.ok(Number(headers.get('ratelimit-remaining')) < 4500)
})

test('what changed something is logged with its request and account, without its body', async () => {
  await host.request('POST', '/apps', { body: { name: 'logged-app' }, headers: { 'request-id': 'audit-1' } })
  const body = { SECRET: 'do-not-log' }
  await host.request('PATCH', '/apps/logged-app/config-vars', { body, headers: { 'request-id': 'audit-2' } })
  const line = host.logged.find((one) => one.includes('audit-2')) ?? ''
  assert.match(line, '"app":"logged-app"')
  assert.match(line, 'admin@example.com')
  assert.not.match(host.logged.join(''), 'do-not-log')
})

test('a version that is not spoken here is not acceptable', async () => {
  const { status, json } = await host.request('GET', '/account', {
    headers: { accept: 'application/vnd.heroku+json; version=2' },
  })
  assert.is(status, 406)
  assert.is(json.id, 'not_acceptable')
})

test('an unknown path gets Heroku’s 404', async () => {
  const { status, json } = await host.request('GET', '/nothing/here')
  assert.is(status, 404)
  assert.is(json.id, 'not_found')
  assert.match(json.message, /^The requested API endpoint was not found\. Are you using the right HTTP verb/)
})

test('a known path with another method is 405 and lists the methods', async () => {
  const { status, headers, json } = await host.request('PUT', '/apps')
  assert.is(status, 405)
  assert.equal((headers.get('allow') ?? '').split(', ').sort(), ['GET', 'HEAD', 'POST'])
  assert.is(json.id, 'method_not_allowed')
})

test('HEAD is GET without the body', async () => {
  const { status, headers, text } = await host.request('HEAD', '/account')
  assert.is(status, 200)
  assert.is(text, '')
  assert.ok(headers.get('etag'))
})

test('what the client has already is 304', async () => {
  const etag = (await host.request('GET', '/account')).headers.get('etag') ?? ''
  const { status, text } = await host.request('GET', '/account', { headers: { 'if-none-match': etag } })
  assert.is(status, 304)
  assert.is(text, '')
})

test('a change that names another version than there is now is 412, one that names it is made', async () => {
  const { json: app } = await host.request('POST', '/apps', { body: {} })
  const etag = (await host.request('GET', `/apps/${app.id}`)).headers.get('etag') ?? ''
  const change = (tag: string, maintenance: boolean) =>
    host.request('PATCH', `/apps/${app.id}`, { body: { maintenance }, headers: { 'if-match': tag } })
  const { status, json } = await change('"other"', true)
  assert.equal([status, json.id], [412, 'precondition_failed'])
  assert.is((await change(`"other", ${etag}`, true)).status, 200)
  assert.is((await change(etag, false)).status, 412)
  assert.is((await change('*', false)).status, 200)
  const gone = await host.request('DELETE', '/apps/none', { headers: { 'if-match': etag } })
  assert.equal([gone.status, gone.json.id], [404, 'not_found'])
})

test('an answer tells when it was last changed', async () => {
  const { json: app } = await host.request('POST', '/apps', { body: {} })
  const { headers } = await host.request('GET', `/apps/${app.id}`)
  assert.is(headers.get('last-modified'), new Date(app.updated_at).toUTCString())
  assert.is((await host.request('GET', `/apps/${app.id}/config-vars`)).headers.get('last-modified'), null)
})

test('X-Http-Method-Override says what a POST is meant to be', async () => {
  const { json: app } = await host.request('POST', '/apps', { body: {} })
  const override = (method: string, body?: unknown) =>
    host.request('POST', `/apps/${app.id}`, { body, headers: { 'x-http-method-override': method } })
  assert.is((await override('PATCH', { maintenance: true })).json.maintenance, true)
  assert.is((await override('get')).json.id, app.id)
  assert.is((await override('DELETE')).status, 200)
  for (const method of ['TRACE', 'HEAD']) assert.is((await override(method)).status, 400)
  const ignored = await host.request('GET', '/account', { headers: { 'x-http-method-override': 'DELETE' } })
  assert.is(ignored.status, 200)
})

test('a path that needs no token has its 405, too', async () => {
  const { status, headers } = await host.request('DELETE', '/buildpacks')
  assert.is(status, 405)
  assert.match(headers.get('allow') ?? '', 'GET')
})

test('things are found by name and by id', async () => {
  const { json: app } = await host.request('POST', '/apps', { body: { name: 'found-either-way' } })
  const { json: domain } = await host.request('POST', '/apps/found-either-way/domains', {
    body: { hostname: 'either.example.com' },
  })
  for (const path of [
    `/apps/${app.id}`,
    '/apps/found-either-way',
    `/apps/${app.id}/domains/${domain.id}`,
    '/apps/found-either-way/domains/EITHER.example.com',
    `/apps/${app.id}/collaborators/admin@example.com`,
    `/apps/${app.id}/collaborators/${app.owner.id}`,
    `/apps/${app.id}/releases/1`,
    `/apps/${app.id}/releases/v1`,
    `/regions/${app.region.id}`,
    '/regions/us',
    `/stacks/${app.stack.id}`,
    '/stacks/heroku-24',
    `/users/${app.owner.id}`,
    '/users/admin@example.com',
    '/users/~',
  ])
    assert.is((await host.request('GET', path)).status, 200, path)
})

test('broken JSON and broken UTF-8 are 400', async () => {
  assert.is((await host.request('POST', '/apps', { body: '{"name":' })).status, 400)
  const response = await fetch(`${host.url}/apps`, {
    method: 'POST',
    headers: { authorization: `Bearer ${host.token}`, 'content-type': 'application/json' },
    body: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
  })
  assert.is(response.status, 400)
})

test('a body of another type is 415, a wrong shape 422, too much 413', async () => {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  assert.is((await host.request('POST', '/apps', { body: 'name=x', headers })).status, 415)
  const wrong = await host.request('POST', '/apps', { body: { name: 3 } })
  assert.is(wrong.status, 422)
  assert.is(wrong.json.message, 'Invalid parameter `name`: expected string, received number.')
  const missing = await host.request('POST', '/pipelines', { body: {} })
  assert.equal([missing.status, missing.json.message], [422, 'The parameter `name` is missing: expected string.'])
  for (const body of ['[]', '"x"', 'null']) {
    const { status, json } = await host.request('POST', '/apps', { body })
    assert.equal([status, json.message], [422, 'The request body must be a JSON object.'], body)
  }
  const large = await host.request('POST', '/apps', { body: { name: 'x'.repeat(1024 * 1024) } })
  assert.is(large.status, 413)
  assert.is(large.json.id, 'request_too_large')
})

test('a body without a length is cut off at the limit', async () => {
  const stream = new ReadableStream({
    pull(controller) {
      controller.enqueue(Buffer.alloc(64 * 1024, 0x20))
    },
  })
  const response = await fetch(`${host.url}/apps`, {
    method: 'POST',
    headers: { authorization: `Bearer ${host.token}`, 'content-type': 'application/json' },
    body: stream,
    duplex: 'half',
  } as RequestInit).catch(() => undefined)
  if (response) assert.is(response.status, 413)
  assert.is((await host.request('GET', '/account')).status, 200)
})

test('deeply nested JSON is an ordinary refusal', async () => {
  const body = `{"name":${'['.repeat(200_000)}${']'.repeat(200_000)}}`
  assert.is((await host.request('POST', '/apps', { body })).status, 422)
})

test('what nobody expected is 500 with a general sentence; the cause is in the log only', async () => {
  const { open } = host.d.seal
  host.d.seal.open = () => {
    throw new Error('the-cause')
  }
  try {
    const { json: app } = await host.request('POST', '/apps', { body: {} })
    const { status, json, text } = await host.request('GET', `/apps/${app.id}/config-vars`, {
      headers: { 'request-id': 'r-500' },
    })
    assert.is(status, 500)
    assert.is(json.id, 'internal_server_error')
    assert.match(json.message, 'r-500')
    assert.not.match(text, 'the-cause')
    assert.ok(host.logged.some((line) => line.includes('the-cause') && line.includes('r-500')))
  } finally {
    host.d.seal.open = open
  }
})

test('a long list comes in parts, and Next-Range leads to the rest', async () => {
  for (let count = 0; count < 5; count++) await host.request('POST', '/apps', { body: {} })
  const all = (await host.request('GET', '/apps')).json.map(({ name }: { name: string }) => name)
  const names: string[] = []
  let range: string | null = 'name ..; max=2'
  while (range !== null) {
    const answer = await host.request('GET', '/apps', { headers: { range } })
    names.push(...answer.json.map(({ name }: { name: string }) => name))
    range = answer.headers.get('next-range')
    assert.is(answer.status, range === null ? 200 : 206)
  }
  assert.equal(names, all)
  assert.is((await host.request('GET', '/apps', { headers: { range: 'color ..' } })).status, 416)
})

test('a stream’s link works without a token and replays from the start', async () => {
  const { json: app } = await host.request('POST', '/apps', { body: {} })
  await host.deploy(await host.d.db.selectFrom('apps').selectAll().where('id', '=', app.id).executeTakeFirstOrThrow(), {
    web: 'node .',
    release: 'echo hi',
  })
  const newest = async () => {
    const headers = { range: 'version ..; order=desc, max=1' }
    return (await host.request('GET', `/apps/${app.id}/releases`, { headers })).json[0]
  }
  const { id, output_stream_url } = await newest()
  assert.is(output_stream_url, null, 'a command that has not run')
  const transcript = await host.d.transcripts.open(`release-${id}`)
  const link: string = (await newest()).output_stream_url
  assert.ok(link.startsWith(`${host.url}/streams/release-`))
  transcript.write('hello\n')
  const answer = await fetch(link)
  assert.is(answer.status, 200)
  transcript.write('world\n')
  await transcript.end()
  assert.is(await answer.text(), 'hello\nworld\n')
  assert.is(await (await fetch(link)).text(), 'hello\nworld\n')
  assert.is((await fetch(`${host.url}/streams/release-${id}`)).status, 404)
  await host.d.transcripts.remove(`release-${id}`)
  assert.is((await fetch(link)).status, 404)
})

test.run()
