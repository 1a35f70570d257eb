import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { requestHost } from './client.ts'
import { listContainers, listNetworks, listVolumes } from './engine.ts'
import { startPlatform } from './platform.ts'
import { refused } from './refused.ts'
import { waitFor } from './wait.ts'

const platform = await startPlatform()
test.after(() => platform.stop())

const add = (app: string, hostname: string) =>
  platform.api<{ hostname: string }>('POST', `/apps/${app}/domains`, { hostname, sni_endpoint: null })
const visit = (host: string) => requestHost(platform.ports.http, host, '/')

test('A15: hostnames as DNS has them are taken, in lower case', async () => {
  await platform.createApp('named')
  const label = 'a'.repeat(63)
  for (const name of ['test-domain.example.com', `${label}.example.com`, '3com.com', 'w3.example.com'])
    assert.is((await add('named', name)).hostname, name)
  for (const name of ['xn--bcher-kva.example', '*.example.com']) assert.is((await add('named', name)).hostname, name)
  assert.is((await add('named', 'MYDOMAIN.NET')).hostname, 'mydomain.net')
})

test('A15: what is no hostname, lies below the platform’s own domain, or is taken is refused', async () => {
  await platform.createApp('other')
  const bad = ['this_is_an.invalid.domain', `${'a'.repeat(64)}.example.com`, '-a.example.com', 'example.123']
  for (const name of [...bad, 'other.localhost', 'deeper.other.localhost']) await refused(add('other', name), 422, /./)
  await refused(add('other', 'mydomain.net'), 422, /./)
  await refused(add('named', 'MyDomain.net'), 422, /./)
})

test('A15: an app answers at its domains and wildcards, and no longer once they are removed', async () => {
  await platform.deploy('visited')
  await add('visited', 'www.visited.example')
  await add('visited', '*.wild.example')
  for (const host of ['www.visited.example', 'WWW.Visited.Example', 'any.wild.example'])
    await waitFor(`${host} to answer`, async () => /^v1 /.test((await visit(host)).body))
  await platform.api('DELETE', '/apps/visited/domains/www.visited.example')
  await waitFor('the removed domain to be unknown', async () => (await visit('www.visited.example')).status === 404)
  assert.match((await platform.request('visited')).body, /^v1 /)
})

test('A18: a destroyed app leaves no container, network, volume, file or row, and its name is free', async () => {
  await platform.deploy('doomed')
  const { id } = await platform.api<{ id: string }>('GET', '/apps/doomed')
  const slugs = await readdir(join(platform.data, 'slugs'))
  assert.match((await platform.request('doomed')).body, /^v1 /)
  await platform.api('DELETE', '/apps/doomed')
  assert.is(await platform.createApp('doomed'), 'doomed')

  const installation = (await readFile(join(platform.data, 'installation'), 'utf8')).trim()
  await waitFor('the engine to hold nothing of the app', async () => {
    const left = [
      ...(await listContainers(installation)).map(({ Labels }) => JSON.stringify(Labels)),
      ...(await listNetworks(installation)).map(({ Name }) => Name),
      ...(await listVolumes(installation)).map(({ Name }) => Name),
    ].filter((text) => text.includes(id))
    if (left.length > 0) throw new Error(left.join(', '))
    return true
  })
  await waitFor('the disk to hold nothing of the app', async () => {
    const paths = await readdir(platform.data, { recursive: true })
    const left = paths.filter((path) => path.includes(id))
    if (left.length > 0) throw new Error(left.join(', '))
    return true
  })
  await waitFor('its slug to go', async () => (await readdir(join(platform.data, 'slugs'))).length < slugs.length)
  assert.not.match((await platform.request('doomed')).body, /^v1/)
})

test.run()
