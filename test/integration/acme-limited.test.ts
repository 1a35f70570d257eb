import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createIssuance } from '../../daemon/route/issuance.ts'
import { type Host, startHost } from '../api/host.ts'
import { waitFor } from '../e2e/wait.ts'
import { make } from './chains.ts'
import { eventually, portOf } from './router-rig.ts'

/** An authority that has had enough of us: it is left alone for as long as it says, whatever is restarted or refreshed. */

let host: Host
let folder: string
let ahead = 0
const ordered: string[] = []
const nonce = { 'replay-nonce': 'nonce' }

const pair = await make({ names: ['localhost'] })
const authority = createServer(pair, async (request, response) => {
  let text = ''
  for await (const chunk of request) text += chunk
  const at = (path: string) => `https://localhost:${portOf(authority)}${path}`
  const say = (status: number, body: object, headers: Record<string, string> = {}) =>
    response.writeHead(status, { ...nonce, ...headers }).end(JSON.stringify(body))
  if (request.url === '/dir')
    return say(200, { newNonce: at('/nonce'), newAccount: at('/account'), newOrder: at('/order') })
  if (request.url === '/nonce') return say(200, {})
  if (request.url === '/account') return say(201, {}, { location: at('/account/1') })
  const { identifiers } = JSON.parse(String(Buffer.from(JSON.parse(text).payload, 'base64url')))
  ordered.push(identifiers[0].value)
  const problem = { type: 'urn:ietf:params:acme:error:rateLimited', detail: 'too many certificates' }
  return say(429, problem, { 'retry-after': '7200' })
}).listen(0, '127.0.0.1')
await once(authority, 'listening')

test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-limited-'))
  await writeFile(join(folder, 'ca.pem'), pair.cert)
  host = await startHost({
    SLUICE_ACME_DIRECTORY: `https://localhost:${portOf(authority)}/dir`,
    SLUICE_CA_BUNDLE: join(folder, 'ca.pem'),
  })
  const { clock } = host.d
  host.d.clock = { now: () => clock.now() + ahead, at: (at, wake) => clock.at(at - ahead, wake) }
  await restart()
})
test.after(async () => {
  await host.close()
  authority.close()
  authority.closeAllConnections()
  await rm(folder, { recursive: true })
})

async function restart(): Promise<void> {
  await host.d.acm.stop()
  host.d.acm = createIssuance(host.d)
  await host.d.acm.start()
}

const add = (hostname: string) => host.request('POST', '/apps/demo/domains', { body: { hostname } })

const asked = (...names: string[]) =>
  eventually(
    () => ordered.length === names.length,
    () => `orders of ${names}, not ${ordered}`,
  ).then(() => assert.equal(ordered, names))

/** Until whoever is to have his turn has had it. */
const reasonOf = async (hostname: string) =>
  (await host.request('GET', `/apps/demo/domains/${hostname}`)).json.acm_status_reason

const waits = (hostname: string, why: RegExp) =>
  waitFor(`why ${hostname} waits`, async () => why.test((await reasonOf(hostname)) ?? ''))

test('a refusal holds for the registered domain, and with a second one for everybody', async () => {
  await host.request('POST', '/apps', { body: { name: 'demo' } })
  await host.request('POST', '/apps/demo/acm', { body: {} })
  await add('a.example.com')
  await asked('a.example.com')
  await waits('a.example.com', /^too many certificates$/)
  await add('b.example.com')
  await waits('b.example.com', /enough of us/)
  await add('a.example.net')
  await asked('a.example.com', 'a.example.net')
  await waits('a.example.net', /^too many certificates$/)
  await add('a.example.org')
  await waits('a.example.org', /enough of us/)
})

test('neither a restart nor somebody’s wish has it asked before the time that it said; for who was not refused that is an hour', async () => {
  ahead += 110 * 60_000
  await restart()
  await host.request('PATCH', '/apps/demo/acm', { body: { acm_refresh: true } })
  await add('c.example.com')
  await waits('c.example.com', /enough of us/)
  await asked('a.example.com', 'a.example.net', 'a.example.org')
  await waits('a.example.org', /^too many certificates$/)
  ahead += 15 * 60_000
  await restart()
  await eventually(
    () => ordered.length >= 4,
    () => `one more order, not ${ordered}`,
  )
  assert.match(ordered[3] ?? '', /example\.(com|net)$/)
})

test('that it is asked too much is no failure of a domain', async () => {
  const states = await host.d.db.selectFrom('acm_domains').select(['failures']).execute()
  assert.equal([...new Set(states.map(({ failures }) => failures))], [0])
})

test.run()
