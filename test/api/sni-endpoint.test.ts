import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { findApp } from '../../daemon/app/app.ts'
import { limits } from '../../daemon/limits.ts'
import { allRoutes } from '../../daemon/route/routes.ts'
import { readPairs } from '../../daemon/route/sni-endpoint.ts'
import { ED25519, type Made, make, rsa } from '../integration/chains.ts'
import { startHost } from './host.ts'

const host = await startHost()
test.after(() => host.close())
const { request, d } = host
const run = promisify(execFile)

const admin = () => d.db.selectFrom('accounts').selectAll().where('admin', '=', 1).executeTakeFirstOrThrow()
const given = ({ cert, key }: Made, more = '') => ({ certificate_chain: cert + more, private_key: key })
const add = (app: string, body: unknown) => request('POST', `/apps/${app}/sni-endpoints`, { body })

async function refused(app: string, body: unknown, message: RegExp): Promise<void> {
  const { status, json } = await add(app, body)
  assert.is(status, 422, JSON.stringify(json))
  assert.is(json.id, 'invalid_params')
  assert.match(json.message, message)
}

test.before(async () => {
  for (const name of ['demo', 'other', 'many']) await request('POST', '/apps', { body: { name } })
})

test('a certificate is added, told of, replaced and removed; its key never leaves', async () => {
  const made = await make({ subject: 'C=US, O=Example, CN=www.example.com', names: ['www.example.com', 'example.com'] })
  const { status, json } = await add('demo', given(made))
  assert.is(status, 201)
  assert.match(json.name, /^[a-z]+-\d{5}$/)
  assert.equal(json.app, { id: json.app.id, name: 'demo' })
  assert.equal(json.domains, [])
  assert.equal(json.ssl_cert, {
    id: json.ssl_cert.id,
    acm: false,
    'ca_signed?': false,
    'self_signed?': true,
    cert_domains: ['www.example.com', 'example.com'],
    issuer: '/C=US/O=Example/CN=www.example.com',
    subject: '/C=US/O=Example/CN=www.example.com',
    starts_at: made.certificate.notBefore.toISOString(),
    expires_at: made.certificate.notAfter.toISOString(),
  })
  for (const which of [json.id, json.name])
    assert.equal((await request('GET', `/apps/demo/sni-endpoints/${which}`)).json, json)
  assert.equal((await request('GET', '/apps/demo/sni-endpoints')).json, [json])
  assert.is((await request('GET', `/apps/other/sni-endpoints/${json.name}`)).status, 404)

  const renewed = await make({ names: ['www.example.com'] })
  const updated = await request('PATCH', `/apps/demo/sni-endpoints/${json.name}`, { body: given(renewed) })
  assert.is(updated.status, 200)
  assert.is(updated.json.name, json.name)
  assert.is.not(updated.json.ssl_cert.id, json.ssl_cert.id)
  assert.equal(updated.json.ssl_cert.cert_domains, ['www.example.com'])

  const row = await d.db.selectFrom('sni_endpoints').selectAll().executeTakeFirstOrThrow()
  assert.not.match(JSON.stringify([row, json, updated.json, host.logged]), /PRIVATE KEY/)
  const removed = await request('DELETE', `/apps/demo/sni-endpoints/${json.id}`)
  assert.is(removed.status, 200)
  assert.is((await request('GET', `/apps/demo/sni-endpoints/${json.id}`)).status, 404)
  const told = await d.db.selectFrom('activities').select('text').where('text', 'like', '%SNI endpoint%').execute()
  assert.equal(
    told.map(({ text }) => text),
    [`Add SNI endpoint ${json.name}`, `Update SNI endpoint ${json.name}`, `Remove SNI endpoint ${json.name}`],
  )
})

test('a chain is put in order, and what does not belong to it is refused', async () => {
  const root = await make({ subject: 'CN=root', authority: true })
  const middle = await make({ subject: 'CN=middle', authority: true, issuer: root })
  const site = await make({ names: ['chain.example.com'], issuer: middle })
  const stray = await make({ names: ['stray.example.com'] })
  const { json } = await add('demo', { certificate_chain: root.cert + site.cert + middle.cert, private_key: site.key })
  const order = json.certificate_chain.match(/-----BEGIN[\s\S]*?END CERTIFICATE-----/g)
  assert.equal(
    order.map((pem: string) => new X509Certificate(pem).subject),
    ['CN=chain.example.com', 'CN=middle', 'CN=root'],
  )
  assert.is(json.ssl_cert['self_signed?'], false)
  await request('DELETE', `/apps/demo/sni-endpoints/${json.id}`)
  await refused('demo', given(site, middle.cert + stray.cert), /CN=stray\.example\.com does not belong to the chain/)
})

test('keys of every kind that TLS knows are taken', async () => {
  for (const algorithm of [rsa(2048), ED25519]) {
    const { status, json } = await add('demo', given(await make({ names: ['kind.example.com'], algorithm })))
    assert.is(status, 201, JSON.stringify(json))
    await request('DELETE', `/apps/demo/sni-endpoints/${json.id}`)
  }
  const { stdout: key } = await run('openssl', ['ecparam', '-name', 'prime256v1', '-genkey'])
  assert.match(key, /BEGIN EC PARAMETERS[\s\S]*BEGIN EC PRIVATE KEY/)
  const file = join(d.config.data, 'ec.key')
  await writeFile(file, key)
  const { stdout: cert } = await run('openssl', ['req', '-x509', '-key', file, '-subj', '/CN=ec.example.com'])
  const { status, json } = await add('demo', { certificate_chain: cert, private_key: key })
  assert.is(status, 201, JSON.stringify(json))
  assert.equal(json.ssl_cert.cert_domains, ['ec.example.com'])
  await request('DELETE', `/apps/demo/sni-endpoints/${json.id}`)
})

function openssl(input: string, args: string[]) {
  const promise = run('openssl', args)
  promise.child.stdin?.end(input)
  return promise
}

test('what no TLS server could use is refused in words, and nothing of a key is repeated', async () => {
  const [one, two] = [await make({ names: ['one.example.com'] }), await make({ names: ['two.example.com'] })]
  await refused('demo', { ...given(one), private_key: two.key }, /^Key doesn't match the PEM certificate\.$/)
  await refused('demo', { ...given(one), certificate_chain: 'nothing' }, /^No certificate given/)
  await refused('demo', { ...given(one), private_key: 'nothing' }, /^No private key given/)
  await refused('demo', { certificate_chain: one.cert }, /private_key/)
  await refused('demo', { ...given(one), private_key: one.key.replace(/\n.{20}/, '\n') }, /its PEM text is damaged/)
  await refused(
    'demo',
    { ...given(one), certificate_chain: one.cert.replace(/\n.{20}/, '\n') },
    /its PEM text is damaged/,
  )
  const { stdout: sealed } = await openssl(one.key, ['pkcs8', '-topk8', '-passout', 'pass:x'])
  await refused(
    'demo',
    { ...given(one), private_key: sealed },
    /^The private key is encrypted\. Take the passphrase off/,
  )
  await refused(
    'demo',
    given(await make({ names: ['old.example.com'], days: -1 })),
    /CN=old\.example\.com has expired on /,
  )
  await refused(
    'demo',
    given(await make({ names: ['weak.example.com'], algorithm: rsa(1024) })),
    /is RSA with 1024 bits, which browsers do not take/,
  )
  const { stdout: dsa } = await run('openssl', ['ecparam', '-name', 'secp256k1', '-genkey', '-noout'])
  await refused('demo', { ...given(one), private_key: dsa }, /is on the curve secp256k1/)
  await refused('demo', { ...given(one), certificate_chain: one.cert.repeat(11) }, /may have 10 certificates, not 11/)
  await refused(
    'demo',
    { ...given(one), certificate_chain: 'x'.repeat(limits.certificateChain + 1) },
    /certificate_chain/,
  )
  await refused('demo', { ...given(one), private_key: 'x'.repeat(limits.privateKey + 1) }, /private_key/)
  assert.equal((await request('GET', '/apps/demo/sni-endpoints')).json, [])
})

test('an authority that Node.js trusts makes a certificate a trusted one', async () => {
  const { describe } = await import('../../daemon/route/chain.ts')
  assert.is(describe(rootCertificates[0] ?? '')['ca_signed?'], true)
})

test('domains are bound, told of by their endpoint, unbound, and lose a certificate that is removed', async () => {
  const made = await make({ names: ['*.bound.example'] })
  const { json: endpoint } = await add('demo', given(made))
  const named = { id: endpoint.id, name: endpoint.name }
  const body = { hostname: 'www.bound.example', sni_endpoint: endpoint.name }
  const created = await request('POST', '/apps/demo/domains', { body })
  assert.is(created.status, 201)
  assert.equal(created.json.sni_endpoint, named)
  assert.is(created.headers.get('x-heroku-warning'), null)
  const other = await request('POST', '/apps/demo/domains', {
    body: { hostname: 'a.b.bound.example', sni_endpoint: null },
  })
  assert.is(other.json.sni_endpoint, null)
  const bound = await request('PATCH', '/apps/demo/domains/a.b.bound.example', { body: { sni_endpoint: endpoint.id } })
  assert.equal(bound.json.sni_endpoint, named)
  assert.match(bound.headers.get('x-heroku-warning') ?? '', `${endpoint.name} is not for a.b.bound.example`)
  const { json: told } = await request('GET', `/apps/demo/sni-endpoints/${endpoint.name}`)
  assert.equal(told.domains, [bound.json.id, created.json.id])

  const routes = await allRoutes(d.db, 'localhost')
  const route = routes.find(({ name }) => name === 'demo')
  assert.equal(route?.certificates, [{ id: endpoint.ssl_cert.id, hosts: ['a.b.bound.example', 'www.bound.example'] }])
  const pairs = await readPairs(d, [endpoint.ssl_cert.id, 'gone'])
  assert.is(pairs.size, 1)
  assert.is(pairs.get(endpoint.ssl_cert.id)?.key, made.key)

  const free = await request('PATCH', '/apps/demo/domains/a.b.bound.example', { body: { sni_endpoint: null } })
  assert.is(free.json.sni_endpoint, null)
  await request('DELETE', `/apps/demo/sni-endpoints/${endpoint.name}`)
  assert.is((await request('GET', '/apps/demo/domains/www.bound.example')).json.sni_endpoint, null)
  assert.is((await readPairs(d, [endpoint.ssl_cert.id])).size, 0)
})

test('an endpoint of another app, the app’s own name, and a missing choice are refused', async () => {
  const { json: foreign } = await add('other', given(await make({ names: ['x.example.com'] })))
  const bind = (name: string, body: object) => request('PATCH', `/apps/demo/domains/${name}`, { body })
  const { json } = await request('POST', '/apps/demo/domains', {
    body: { hostname: 'x.example.com', sni_endpoint: foreign.id },
  })
  assert.equal([json.id, json.message], ['not_found', "Couldn't find that SNI endpoint."])
  assert.is((await request('GET', '/apps/demo/domains/x.example.com')).status, 404)
  assert.is((await bind('www.bound.example', { sni_endpoint: foreign.name })).status, 404)
  assert.is((await bind('www.bound.example', {})).status, 422)
  assert.match((await bind('demo.localhost', { sni_endpoint: null })).json.message, "app's own name")
})

test('a key that was sealed for another certificate opens for none, and costs no other its certificate', async () => {
  const [a, b] = [await make({ names: ['a.example.com'] }), await make({ names: ['b.example.com'] })]
  const [first, second] = [(await add('other', given(a))).json, (await add('other', given(b))).json]
  await d.db
    .updateTable('sni_endpoints')
    .set(({ selectFrom }) => ({
      private_key: selectFrom('sni_endpoints').select('private_key').where('id', '=', second.id),
    }))
    .where('id', '=', first.id)
    .execute()
  const pairs = await readPairs(d, [first.ssl_cert.id, second.ssl_cert.id])
  assert.equal([...pairs.keys()], [second.ssl_cert.id])
  assert.ok(host.logged.some((line) => line.includes('the key of a certificate cannot be opened')))
})

test('without an authority Automated Certificate Management is off, and says why it stays off', async () => {
  assert.is((await request('GET', '/apps/demo')).json.acm, false)
  for (const [method, body] of [
    ['POST', {}],
    ['PATCH', { acm_refresh: true }],
  ] as const) {
    const { status, json } = await request(method, '/apps/demo/acm', { body })
    assert.is(status, 422)
    assert.match(json.message, /asks no public authority.*SLUICE_ACME_DIRECTORY.*certs:add/)
  }
  assert.is((await request('DELETE', '/apps/demo/acm')).json.acm, false)
})

test('a domain list of a thousand comes in parts, and no app has more', async () => {
  const app = await findApp(d.db, await admin(), 'many')
  const now = Date.now()
  const rows = Array.from({ length: limits.domainsPerApp }, (_, index) => ({
    id: `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`,
    app_id: app.id,
    hostname: `n${index}.many.example`,
    sni_endpoint_id: null,
    created_at: now,
    updated_at: now,
  }))
  for (let from = 0; from < rows.length; from += 100)
    await d.db
      .insertInto('domains')
      .values(rows.slice(from, from + 100))
      .execute()
  const first = await request('GET', '/apps/many/domains', { headers: { range: 'id ..; max=1000;' } })
  assert.is(first.status, 206)
  assert.is(first.json.length, 1000)
  const next = first.headers.get('next-range') ?? ''
  const rest = await request('GET', '/apps/many/domains', { headers: { range: next } })
  assert.is(rest.status, 200)
  const kinds = [...first.json, ...rest.json].map(({ kind }: { kind: string }) => kind)
  assert.equal([kinds.length, kinds.filter((kind) => kind === 'heroku').length], [1001, 1])
  const body = { hostname: 'one.more.example', sni_endpoint: null }
  const refusal = await request('POST', '/apps/many/domains', { body })
  assert.equal([refusal.status, refusal.json.message.slice(0, 37)], [422, 'An app may have 1000 custom domains. '])
})

test('two clients that add one domain at once: one of them has it', async () => {
  const body = { hostname: 'raced.example.com', sni_endpoint: null }
  const answers = await Promise.all(
    ['demo', 'other', 'demo'].map((app) => request('POST', `/apps/${app}/domains`, { body })),
  )
  assert.equal(answers.map(({ status }) => status).sort(), [201, 422, 422])
})

test.run()
