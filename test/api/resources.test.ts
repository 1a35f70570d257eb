import { createRequire } from 'node:module'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Host, startHost } from './host.ts'

/** heroku-client, as an example of other clients; it follows Next-Range and sends a Range with everything. */
interface Client {
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  request(options: { method: string; path: string; body?: unknown }): Promise<any>
}

let host: Host
let client: Client
test.before(async () => {
  host = await startHost()
  const Heroku = createRequire(import.meta.url)('heroku-client') as new (options: object) => Client
  client = new Heroku({ host: host.url, token: host.token })
})
test.after(() => host.close())

const get = (path: string) => client.request({ method: 'GET', path })
const send = (method: string, path: string, body?: unknown) => client.request({ method, path, body })
const newApp = (name?: string) => send('POST', '/apps', name === undefined ? {} : { name })

async function refused(work: Promise<unknown>, status: number, message: RegExp): Promise<void> {
  try {
    await work
  } catch (error) {
    const { statusCode, body } = error as { statusCode: number; body: { message: string } }
    assert.is(statusCode, status)
    assert.match(body.message, message)
    return
  }
  assert.unreachable('it should have been refused')
}

async function deployed(
  name: string,
  processTypes: Record<string, string> = { web: 'node .', worker: 'node worker.js' },
) {
  await newApp(name)
  const row = await host.d.db.selectFrom('apps').selectAll().where('name', '=', name).executeTakeFirstOrThrow()
  await host.deploy(row, processTypes)
  return row
}

test('the account is the token’s', async () => {
  assert.is((await get('/account')).email, 'admin@example.com')
  assert.is((await get('/users/~')).email, 'admin@example.com')
  await refused(get('/users/nobody@example.com'), 404, /Couldn't find that user/)
})

test('a new app has a release v1, its owner as collaborator, and URLs of this host', async () => {
  const app = await newApp('first-app')
  assert.is(app.name, 'first-app')
  assert.is(app.git_url, `${host.url.replace('http:', 'https:')}/first-app.git`)
  assert.is(app.web_url, 'http://first-app.localhost:8080/')
  assert.is(app.stack.name, 'heroku-24')
  assert.is(app.owner.email, 'admin@example.com')
  const releases = await get('/apps/first-app/releases')
  assert.equal(
    releases.map((release: { version: number; description: string; status: string }) => [
      release.version,
      release.description,
      release.status,
    ]),
    [[1, 'Initial release', 'succeeded']],
  )
  const collaborators = await get('/apps/first-app/collaborators')
  assert.equal(
    collaborators.map(({ role }: { role: string }) => role),
    ['owner'],
  )
})

test('an app without a name gets one; a taken or bad name is refused', async () => {
  assert.match((await newApp()).name, /^[a-z]+-[a-z]+-\d{5}$/)
  await newApp('taken')
  await refused(newApp('taken'), 422, /Name taken is already taken/)
  await refused(newApp('Bad_Name'), 422, /^Name must start with a letter/)
  await refused(send('POST', '/apps', { stack: 'cedar' }), 422, /not available/)
  await refused(send('POST', '/apps', { region: 'mars' }), 422, /no region mars/)
})

test('an app is found by name or id, and somebody else’s is not found', async () => {
  const app = await newApp('by-either')
  assert.is((await get(`/apps/${app.id}`)).name, 'by-either')
  const { token } = await host.invite('stranger@example.com')
  const answer = await host.request('GET', '/apps/by-either', { token })
  assert.equal([answer.status, answer.json.resource], [404, 'app'])
  assert.equal((await host.request('GET', '/apps', { token })).json, [])
})

test('a renamed app keeps its id and releases; its old name is free', async () => {
  const app = await newApp('old-name')
  const renamed = await send('PATCH', '/apps/old-name', { name: 'new-name' })
  assert.is(renamed.id, app.id)
  assert.is(renamed.web_url, 'http://new-name.localhost:8080/')
  await refused(get('/apps/old-name'), 404, /app/)
  await newApp('old-name')
  await refused(send('PATCH', '/apps/new-name', { name: 'old-name' }), 422, /already taken/)
})

test('a destroyed app is not found and its name is free at once', async () => {
  await newApp('short-lived')
  assert.is((await send('DELETE', '/apps/short-lived')).name, 'short-lived')
  await refused(get('/apps/short-lived'), 404, /app/)
  await newApp('short-lived')
})

test('maintenance is switched and told in the log', async () => {
  const app = await newApp('tired')
  assert.is((await send('PATCH', '/apps/tired', { maintenance: true })).maintenance, true)
  assert.is((await get('/apps/tired')).maintenance, true)
  assert.is((await send('PATCH', '/apps/tired', { maintenance: false })).maintenance, false)
  const texts = host.d.logs.recent(app.id, {}, 10).map(({ text }) => text)
  assert.ok(texts.includes('Maintenance mode enabled by user admin@example.com'))
})

test('a stack is set for the next build', async () => {
  await newApp('stacked')
  const app = await send('PATCH', '/apps/stacked', { build_stack: 'heroku-26' })
  assert.is(app.build_stack.name, 'heroku-26')
  await refused(send('PATCH', '/apps/stacked', { build_stack: 'cnb' }), 422, /Choose one of/)
  await refused(send('PATCH', '/apps/stacked', { name: 'renamed', build_stack: 'cnb' }), 422, /Choose one of/)
  assert.is((await send('GET', '/apps/stacked')).name, 'stacked')
})

test('config vars are set and unset, one release a change; a change of nothing makes none', async () => {
  await newApp('configured')
  const values = { GREETING: 'Grüße, 世界', LINES: 'a\nb', QUOTES: `"'$HOME\\\``, EMPTY: '' }
  assert.equal(await send('PATCH', '/apps/configured/config-vars', values), values)
  assert.equal(await get('/apps/configured/config-vars'), values)
  await send('PATCH', '/apps/configured/config-vars', { GREETING: null })
  await send('PATCH', '/apps/configured/config-vars', { UNKNOWN: null })
  const releases = await host.request('GET', '/apps/configured/releases')
  assert.equal(
    releases.json.map(({ description }: { description: string }) => description),
    ['Initial release', 'Set GREETING, LINES, QUOTES, EMPTY config vars', 'Remove GREETING config vars'],
  )
  assert.equal(await get('/apps/configured/releases/2/config-vars'), values)
  assert.equal(await get('/apps/configured/releases/1/config-vars'), {})
})

test('config vars that no environment can hold are refused', async () => {
  await newApp('refusing')
  const set = (vars: unknown) => send('PATCH', '/apps/refusing/config-vars', vars)
  await refused(set({ 'A-B': 'x' }), 422, /not a valid config var name/)
  await refused(set({ A: 1 }), 422, /`A`/)
  await refused(set({ A: 'a\0b' }), 422, /NUL/)
  await refused(set({ A: 'x'.repeat(70_000) }), 422, /64 KB/)
  assert.equal(await get('/apps/refusing/config-vars'), {})
})

test('two changes of config at once both land', async () => {
  await newApp('busy')
  await Promise.all(Array.from({ length: 10 }, (_, i) => send('PATCH', '/apps/busy/config-vars', { [`V${i}`]: 'x' })))
  assert.is(Object.keys(await get('/apps/busy/config-vars')).length, 10)
  assert.is((await get('/apps/busy/releases')).length, 11)
})

test('scaling takes numbers, text, relative quantities and sizes in either field', async () => {
  await deployed('scaled')
  const quantities = async () =>
    Object.fromEntries(
      (await get('/apps/scaled/formation')).map((row: { type: string; quantity: number; size: string }) => [
        row.type,
        `${row.quantity} ${row.size}`,
      ]),
    )
  assert.equal(await quantities(), { web: '1 Basic', worker: '0 Basic' })
  await send('PATCH', '/apps/scaled/formation', {
    updates: [
      { type: 'web', quantity: '2' },
      { type: 'worker', quantity: '+1', size: 'standard-2x' },
    ],
  })
  assert.equal(await quantities(), { web: '2 Basic', worker: '1 Standard-2X' })
  await send('PATCH', '/apps/scaled/formation', { updates: [{ type: 'web', quantity: '-1' }] })
  const row = await send('PATCH', '/apps/scaled/formation/worker', { quantity: 3, dyno_size: { name: 'Eco' } })
  assert.equal([row.quantity, row.size, row.dyno_size.name], [3, 'Eco', 'Eco'])
  await host.settled()
  assert.equal(
    (await get('/apps/scaled/dynos')).map(({ name }: { name: string }) => name),
    ['web.1', 'worker.1', 'worker.2', 'worker.3'],
  )
})

test('impossible scaling is refused as a whole', async () => {
  await deployed('bounded')
  const scale = (...updates: unknown[]) => send('PATCH', '/apps/bounded/formation', { updates })
  await refused(scale({ type: 'web', quantity: 2 }, { type: 'nope', quantity: 1 }), 404, /process type \(nope\)/)
  await refused(scale({ type: 'web', quantity: -1 }), 422, /negative|must be/)
  await refused(scale({ type: 'web', quantity: '1e3' }), 422, /must be a number/)
  await refused(scale({ type: 'web', quantity: 101 }), 422, /at most 100/)
  await refused(scale({ type: 'web', size: 'Huge' }), 422, /No such dyno size/)
  await refused(scale({ type: 'web', docker_image: 'sha256:1' }), 422, /HOST\/NAME@sha256|container stack/)
  assert.is((await get('/apps/bounded/formation/web')).quantity, 1)
})

test('dynos are listed with their release, found by name, and restarted or stopped by name, type or all', async () => {
  await deployed('dynos')
  const dyno = await get('/apps/dynos/dynos/web.1')
  assert.equal([dyno.type, dyno.state, dyno.release.version], ['web', 'up', 2])
  for (const path of ['dynos', 'dynos/web.1', 'formations/web']) {
    assert.equal(await send('DELETE', `/apps/dynos/${path}`), {})
    await host.settled()
  }
  for (const path of ['dynos/web.1', 'formations/web']) {
    assert.equal(await send('POST', `/apps/dynos/${path}/actions/stop`), {})
    await host.settled()
  }
  await refused(send('DELETE', '/apps/dynos/dynos/web.9'), 404, /dyno/)
  await refused(send('DELETE', '/apps/dynos/formations/nope'), 404, /process type/)
})

test('a rollback is a new release; one without code is refused', async () => {
  await deployed('undone')
  await send('PATCH', '/apps/undone/config-vars', { A: '1' })
  await host.settled()
  const release = await send('POST', '/apps/undone/releases', { release: '2' })
  assert.equal([release.version, release.description], [4, 'Rollback to v2'])
  await refused(send('POST', '/apps/undone/releases', { release: '1' }), 422, /it has no code/)
  await refused(send('POST', '/apps/undone/releases', { slug: 'x' }), 404, /slug/)
  await refused(send('POST', '/apps/undone/releases', {}), 422, /Name the slug to release/)
  await refused(get('/apps/undone/releases/99'), 404, /release/)
  const slug = await get(`/apps/undone/slugs/${release.slug.id}`)
  assert.equal(slug.process_types, { web: 'node .', worker: 'node worker.js' })
})

test('to undo a release that is on its way is to roll back to the one that serves', async () => {
  await deployed('hasty')
  await send('PATCH', '/apps/hasty/config-vars', { A: '1' })
  await host.settled()
  await send('PATCH', '/apps/hasty/config-vars', { A: '2' })
  await host.settled()
  const { id } = await get('/apps/hasty/releases/4')
  await host.d.db.updateTable('rollouts').set({ state: 'booting' }).where('release_id', '=', id).execute()
  type Shown = { version: number; status: string; eligible_for_rollback: boolean }
  const releases: Shown[] = (await host.request('GET', '/apps/hasty/releases')).json
  const eligible = releases.filter((one) => one.eligible_for_rollback).map(({ version }) => version)
  assert.equal(eligible.sort().reverse(), [4, 3, 2])
  assert.is(releases.find(({ version }) => version === 4)?.status, 'pending')
  await refused(send('POST', '/apps/hasty/releases', { release: id }), 422, /it is still being released/)
})

test('domains are added, listed after the app’s own, and removed', async () => {
  await newApp('named')
  const domain = await send('POST', '/apps/named/domains', { hostname: 'WWW.Example.com', sni_endpoint: null })
  assert.equal(
    [domain.hostname, domain.kind, domain.cname, domain.status],
    ['www.example.com', 'custom', 'named.localhost', 'none'],
  )
  const kinds = (await host.request('GET', '/apps/named/domains')).json.map(({ kind }: { kind: string }) => kind)
  assert.equal(kinds.sort(), ['custom', 'heroku'])
  await refused(send('POST', '/apps/named/domains', { hostname: 'www.example.com' }), 422, /already a domain/)
  await refused(send('POST', '/apps/named/domains', { hostname: 'other.localhost' }), 422, /platform's own domain/)
  await send('DELETE', '/apps/named/domains/www.example.com')
  await refused(get('/apps/named/domains/www.example.com'), 404, /domain/)
})

test('buildpacks are replaced as a list; an update without one is refused and changes nothing', async () => {
  await newApp('packed')
  const put = (updates: unknown[]) => send('PUT', '/apps/packed/buildpack-installations', { updates })
  const list = await put([{ buildpack: 'https://example.com/a.git' }, { buildpack: 'urn:buildpack:heroku/nodejs' }])
  assert.equal(
    list.map(({ ordinal, buildpack }: { ordinal: number; buildpack: { url: string } }) => [ordinal, buildpack.url]),
    [
      [0, 'https://example.com/a.git'],
      [1, 'urn:buildpack:heroku/nodejs'],
    ],
  )
  await refused(put([{ buildpack: 'https://example.com/b.git' }, {}]), 422, /no buildpack of that name/)
  assert.is((await get('/apps/packed/buildpack-installations')).length, 2)
  assert.equal(await put([]), [])
})

test('the registry knows what is bundled, without a token', async () => {
  const found = await host.request('GET', '/buildpacks/heroku%2Fnodejs', {
    token: null,
    headers: { accept: 'application/vnd.heroku+json; version=3.buildpack-registry' },
  })
  assert.is(found.json.blob_url, 'urn:buildpack:heroku/nodejs')
  assert.is((await host.request('GET', '/buildpacks/heroku%2Fcobol', { token: null })).status, 404)
})

test('a collaborator deploys and configures, may leave, and may not destroy, rename or share', async () => {
  await newApp('shared')
  const { token } = await host.invite('friend@example.com')
  await refused(send('POST', '/apps/shared/collaborators', { user: 'unknown@example.com' }), 422, /no account/)
  assert.is((await send('POST', '/apps/shared/collaborators', { user: 'Friend@example.com' })).role, 'collaborator')
  await refused(
    send('POST', '/apps/shared/collaborators', { user: 'friend@example.com' }),
    422,
    /already a collaborator/,
  )
  const as = (method: string, path: string, body?: unknown) =>
    host.request(method, path, { token, ...(body ? { body } : {}) })
  assert.is((await as('PATCH', '/apps/shared/config-vars', { A: '1' })).status, 200)
  assert.is((await as('DELETE', '/apps/shared')).status, 403)
  assert.is((await as('PATCH', '/apps/shared', { name: 'mine-now' })).status, 403)
  assert.is((await as('POST', '/apps/shared/collaborators', { user: 'admin@example.com' })).status, 403)
  assert.is((await as('DELETE', '/apps/shared/collaborators/admin@example.com')).status, 403)
  assert.is((await as('DELETE', '/apps/shared/collaborators/friend@example.com')).status, 200)
  assert.is((await as('GET', '/apps/shared')).status, 404)
  await refused(send('DELETE', '/apps/shared/collaborators/admin@example.com'), 422, /owns shared/)
})

test('a token is shown when it is made and to itself, and is refused once revoked', async () => {
  const made = await send('POST', '/oauth/authorizations', { description: 'ci' })
  const { token } = made.access_token
  const listed = (await get('/oauth/authorizations')).find(({ id }: { id: string }) => id === made.id)
  assert.match(listed.access_token.token, /\*{10}/)
  assert.not.match(listed.access_token.token, token)
  assert.is((await host.request('GET', '/oauth/authorizations/~', { token })).json.access_token.token, token)
  const renewed = await send('POST', `/oauth/authorizations/${made.id}/actions/regenerate-tokens`)
  assert.is((await host.request('GET', '/account', { token })).status, 401)
  assert.is((await host.request('GET', '/account', { token: renewed.access_token.token })).status, 200)
  await send('DELETE', `/oauth/authorizations/${made.id}`)
  assert.is((await host.request('GET', '/account', { token: renewed.access_token.token })).status, 401)
})

test('preboot is on and cannot be disabled', async () => {
  await newApp('featured')
  assert.ok((await get('/apps/featured/features')).some(({ name }: { name: string }) => name === 'preboot'))
  assert.is((await send('PATCH', '/apps/featured/features/preboot', { enabled: true })).enabled, true)
  await refused(send('PATCH', '/apps/featured/features/preboot', { enabled: false }), 422, /cannot be disabled/)
  await refused(get('/apps/featured/features/nope'), 404, /feature/)
})

test('what other commands look at is there, empty', async () => {
  await newApp('bare')
  for (const path of [
    '/account/features',
    '/account/keys',
    '/spaces',
    '/enterprise-accounts',
    '/addons',
    '/addon-attachments',
    '/addon-services',
    '/users/~/addons',
    '/apps/bare/addons',
    '/apps/bare/addon-attachments',
    '/apps/bare/sni-endpoints',
    '/apps/bare/log-drains',
    '/apps/bare/builds',
    '/apps/bare/formation',
    '/apps/bare/dynos',
    '/apps/bare/buildpack-installations',
  ])
    assert.equal(await get(path), [], path)
  await refused(get('/apps/bare/pipeline-couplings'), 404, /pipeline coupling/)
  await refused(get('/users/nobody@example.com/addons'), 404, /user/)
  await refused(get('/addons/some'), 404, /that add-on\./)
  await refused(get('/apps/bare/addons/some'), 404, /that add-on\./)
  await refused(get('/apps/other/addons/some'), 404, /that app\./)
  await refused(get('/apps/bare/addon-attachments/DATABASE'), 404, /that add-on attachment\./)
  await refused(get('/addon-services/heroku-postgresql/plans'), 404, /that add-on service\./)
})

test('the catalogue: one region, three stacks, Heroku’s dyno sizes', async () => {
  assert.equal(
    (await get('/regions')).map(({ name }: { name: string }) => name),
    ['us'],
  )
  const { json, headers } = await host.request('GET', '/stacks')
  assert.equal(
    json.map((stack: { name: string; default: boolean }) => [stack.name, stack.default]),
    [
      ['heroku-24', true],
      ['heroku-26', false],
      ['container', false],
    ],
  )
  assert.match(headers.get('x-heroku-warning') ?? '', /Debian/)
  assert.is((await get('/dyno-sizes/standard-2x')).memory, 1)
  await refused(get('/stacks/cedar'), 404, /stack/)
  assert.ok((await get('/account/rate-limits')).remaining < 4500)
})

test.run()
