import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Host, startHost } from './host.ts'

let host: Host
test.before(async () => {
  host = await startHost()
})
test.after(() => host.close())

test('names below a wildcard, and wildcards above a name, are for the apps of one owner', async () => {
  const { token } = await host.invite('other@example.com')
  await host.request('POST', '/apps', { body: { name: 'wild' } })
  await host.request('POST', '/apps', { body: { name: 'also-mine' } })
  await host.request('POST', '/apps', { body: { name: 'foreign' }, token })
  const add = async (app: string, hostname: string, by = host.token) =>
    (await host.request('POST', `/apps/${app}/domains`, { body: { hostname }, token: by })).status
  assert.is(await add('wild', '*.example.com'), 201)
  assert.is(await add('also-mine', 'shop.example.com'), 201)
  assert.is(await add('foreign', 'api.example.com', token), 422)
  assert.is(await add('foreign', '*.deep.example.com', token), 422)
  assert.is(await add('foreign', 'a.b.example.com', token), 422)
  assert.is(await add('foreign', 'example.com', token), 201)
  assert.is(await add('foreign', 'www.example.org', token), 201)
  assert.is(await add('wild', '*.example.org'), 422)
  const { json } = await host.request('POST', '/apps/wild/domains', { body: { hostname: '*.example.org' } })
  assert.match(json.message, /\*\.example\.org is currently in use by another app: www\.example\.org belongs/)
})

test.run()
