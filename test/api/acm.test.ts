import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { bindAutomatic } from '../../daemon/route/domain.ts'
import { keepAutomatic } from '../../daemon/route/sni-endpoint.ts'
import { decide } from '../../daemon/store/database.ts'
import { make } from '../integration/chains.ts'
import { type Host, startHost } from './host.ts'

/** What the API does about certificates that came from an authority; how they come is in integration/acme. */

const SLUICE_ACME_DIRECTORY = 'https://acme.example.com/directory'
const host = await startHost({ SLUICE_ACME_DIRECTORY })
test.after(() => host.close())

/** An app with a domain that has its certificate; the certificate's name. */
async function issued(app: string, hostname: string, { request, d }: Host = host): Promise<string> {
  await request('POST', '/apps', { body: { name: app } })
  await request('POST', `/apps/${app}/acm`, { body: {} })
  const { json } = await request('POST', `/apps/${app}/domains`, { body: { hostname } })
  const { cert, key } = await make({ names: [hostname] })
  await decide(d.db, async (tx) => {
    const given = { app: json.app.id, pair: { chain: cert, key }, instead: null, now: d.clock.now() }
    await bindAutomatic(tx, json.id, { endpoint: await keepAutomatic(d, tx, given), now: d.clock.now() })
  })
  return (await request('GET', `/apps/${app}/domains/${hostname}`)).json.sni_endpoint.name
}

const endpoints = async (app: string): Promise<string[]> =>
  (await host.request('GET', `/apps/${app}/sni-endpoints`)).json.map(({ name }: { name: string }) => name)

test('a domain takes its automatic certificate along when it goes, or gets another', async () => {
  const name = await issued('goes', 'goes.example.com')
  assert.equal(await endpoints('goes'), [name])
  await host.request('DELETE', '/apps/goes/domains/goes.example.com')
  assert.equal(await endpoints('goes'), [])

  await issued('other', 'other.example.com')
  const { cert, key } = await make({ names: ['other.example.com'] })
  const body = { certificate_chain: cert, private_key: key }
  const own = (await host.request('POST', '/apps/other/sni-endpoints', { body })).json.name
  await host.request('PATCH', '/apps/other/domains/other.example.com', { body: { sni_endpoint: own } })
  assert.equal(await endpoints('other'), [own])
})

test('turned off, an app keeps the certificates that are its own', async () => {
  const replaced = await issued('mixed', 'own.example.com')
  const { cert, key } = await make({ names: ['own.example.com'] })
  const body = { certificate_chain: cert, private_key: key }
  await host.request('PATCH', `/apps/mixed/sni-endpoints/${replaced}`, { body })
  await issued('mixed', 'automatic.example.com')
  assert.is((await endpoints('mixed')).length, 2)
  await host.request('DELETE', '/apps/mixed/acm')
  assert.equal(await endpoints('mixed'), [replaced])
})

test('when the authority is taken from the settings it is said that certificates will end', async () => {
  const data = await mkdtemp(join(tmpdir(), 'sluice-acm-'))
  const before = await startHost({ SLUICE_DATA: data, SLUICE_ACME_DIRECTORY })
  await issued('demo', 'www.example.com', before)
  await before.close()
  const after = await startHost({ SLUICE_DATA: data })
  try {
    await after.d.acm.start()
    const said = after.logged.find((line) => line.includes('certificates are not renewed'))
    assert.match(said ?? '', /SLUICE_ACME_DIRECTORY is not set","domains":1/)
    assert.is((await after.request('DELETE', '/apps/demo/acm')).json.acm, false, 'it can still be turned off')
  } finally {
    await after.close()
    await rm(data, { recursive: true, force: true })
  }
})

test.run()
