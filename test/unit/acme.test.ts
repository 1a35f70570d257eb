import { execFile } from 'node:child_process'
import { createHmac, createPrivateKey, createPublicKey, verify } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Authority } from '../../daemon/acme/authority.ts'
import { certificateId } from '../../daemon/acme/certificate-id.ts'
import { bind, generateKey, openKey } from '../../daemon/acme/key.ts'
import { Problem, problemOf, retryAfter } from '../../daemon/acme/problem.ts'
import { createAsk } from '../../daemon/acme/transport.ts'
import { readConfig } from '../../daemon/config.ts'
import { limits } from '../../daemon/limits.ts'
import { make } from '../integration/chains.ts'
import { portOf } from '../integration/router-rig.ts'

test('what is signed can be verified with the key that it names', () => {
  const key = openKey(generateKey())
  const body = JSON.parse(key.sign({ nonce: 'n', url: 'https://a.example/x' }, { a: 1 }))
  assert.equal(JSON.parse(String(Buffer.from(body.protected, 'base64url'))), {
    ...{ alg: 'ES256', nonce: 'n', url: 'https://a.example/x' },
  })
  assert.is(String(Buffer.from(body.payload, 'base64url')), '{"a":1}')
  const signed = Buffer.from(`${body.protected}.${body.payload}`)
  const publicKey = createPublicKey({ key: { ...key.jwk }, format: 'jwk' })
  const signature = Buffer.from(body.signature, 'base64url')
  assert.ok(verify('sha256', signed, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature))
  assert.is(JSON.parse(key.sign({}, '')).payload, '')
})

/** The key of RFC 7515 A.3. */
const jwk = {
  ...{ kty: 'EC', crv: 'P-256', d: 'jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI' },
  ...{ x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU', y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0' },
}

test('a challenge is answered with its token and the thumbprint of RFC 7638', () => {
  const pem = createPrivateKey({ key: jwk, format: 'jwk' }).export({ type: 'pkcs8', format: 'pem' })
  assert.is(openKey(String(pem)).authorize('token'), 'token.oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U')
})

test('a problem of the name is told from one with the authority; its words are bounded and plain', () => {
  const of = (type: string, detail?: unknown) =>
    problemOf({ type: `urn:ietf:params:acme:error:${type}`, detail }, 'none')
  for (const type of ['dns', 'connection', 'unauthorized', 'caa', 'rejectedIdentifier'])
    assert.is(of(type).kind, 'name', type)
  for (const type of ['rateLimited', 'badNonce', 'serverInternal', 'malformed', ''])
    assert.is(of(type).kind, 'authority')
  assert.is(of('dns', 'a\r\nb\u0000\u2028c').message, 'a b c')
  assert.is(of('dns', 'x'.repeat(5000)).message.length, 403)
  for (const odd of [
    undefined,
    null,
    7,
    'text',
    [],
    { type: {}, detail: undefined },
    { type: { toString: 1 } },
    { detail: { toString: 1 } },
  ])
    assert.equal([problemOf(odd, 'none').message, problemOf(odd, 'none').type], ['none', ''])
})

test('Retry-After is seconds or a date', () => {
  const now = Date.parse('Wed, 21 Oct 2026 07:28:00 GMT')
  assert.is(retryAfter('120', now), 120_000)
  assert.is(retryAfter('Wed, 21 Oct 2026 07:29:00 GMT', now), 60_000)
  assert.is(retryAfter('Wed, 21 Oct 2026 07:27:00 GMT', now), 0)
  for (const odd of [undefined, 'soon', '-5x', '']) assert.is(retryAfter(odd, now), undefined, String(odd))
})

/** What an authority answers to a request that an Authority makes when it is opened. */
async function opened(answer: { status?: number; body: string; headers?: Record<string, string> }, trusted = true) {
  const { cert, key } = await make({ names: ['localhost'] })
  const server = createServer({ cert, key }, (_, response) => {
    response.writeHead(answer.status ?? 200, answer.headers).end(answer.body)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const directory = `https://localhost:${portOf(server)}/directory`
  const ask = createAsk(trusted ? [cert] : [])
  try {
    const account = { directory, contact: undefined, key: openKey(generateKey()) }
    return await Authority.open(ask, account, new AbortController().signal).then(
      () => new Problem('name', 'opened'),
      (error) => error,
    )
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

test('an authority that is not one, answers too much, refuses, or is not trusted is a problem, in words', async () => {
  const cases: [Parameters<typeof opened>, RegExp][] = [
    [[{ body: '<html>' }], /not ACME\. Is SLUICE_ACME_DIRECTORY/],
    [[{ body: '{"newNonce":"http://a.example/","newAccount":"file:///etc","newOrder":"x"}' }], /not ACME/],
    [[{ body: ' '.repeat(limits.acmeAnswerSize + 1) }], /more than it may/],
    [[{ status: 302, body: '', headers: { location: 'https://a.example/' } }], /answered with status 302/],
    [[{ status: 503, body: '{"detail":"down for today"}', headers: { 'retry-after': '60' } }], /^down for today$/],
    [[{ body: '{}' }, false], /cannot be reached: .*self-signed/],
  ]
  for (const [given, message] of cases) {
    const problem = await opened(...given)
    assert.ok(problem instanceof Problem, String(problem))
    assert.match(problem.message, message)
    assert.is(problem.kind, 'authority')
  }
})

test('a certificate is named by the key that signed it and its serial number', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-acme-'))
  try {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    const subject = ['-subj', '/CN=a.example', '-set_serial', '0x8765432101']
    const args = [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      key,
      '-out',
      cert,
      '-days',
      '1',
      ...subject,
    ]
    await promisify(execFile)('openssl', args)
    const shown = await promisify(execFile)('openssl', [
      'x509',
      '-in',
      cert,
      '-noout',
      '-ext',
      'authorityKeyIdentifier',
    ])
    const [hex = ''] = /([0-9A-F]{2}:){19}[0-9A-F]{2}/.exec(shown.stdout) ?? []
    const aki = Buffer.from(hex.replaceAll(':', ''), 'hex').toString('base64url')
    assert.is(aki.length, 27)
    // of a number whose first bit is set the zero before it counts (RFC 9773 4.1)
    assert.is(certificateId(await readFile(cert, 'utf8')), `${aki}.AIdlQyEB`)
    assert.is(certificateId((await plain()).cert), undefined)
  } finally {
    await rm(folder, { recursive: true })
  }
})
const plain = () => make({ names: ['a.example'] })

test('a renewal says which certificate it replaces, where the authority wants to know; one that it knows no more is none', async () => {
  const { cert, key } = await make({ names: ['localhost'] })
  const old = (await make({ names: ['a.example'], signer: true })).cert
  let place: string | undefined = 'https:'
  let silent = false
  const orders: (string | undefined)[] = []
  const server = createServer({ cert, key }, async (request, response) => {
    const base = `https://localhost:${portOf(server)}`
    response.setHeader('replay-nonce', 'nonce')
    let text = ''
    for await (const chunk of request) text += chunk
    const answer = (status: number, body: object, headers: Record<string, string> = {}) =>
      response.writeHead(status, headers).end(JSON.stringify(body))
    if (request.url === '/order') {
      const { replaces } = JSON.parse(String(Buffer.from(JSON.parse(text).payload, 'base64url')))
      orders.push(replaces)
      if (silent) return response.destroy()
      if (replaces === undefined)
        return answer(201, { status: 'pending', authorizations: [], finalize: `${base}/f` }, { location: `${base}/o` })
      return answer(409, { type: 'urn:ietf:params:acme:error:alreadyReplaced' })
    }
    if (request.url === '/account') return answer(201, {}, { location: `${base}/account/1` })
    const urls = { newNonce: `${base}/nonce`, newAccount: `${base}/account`, newOrder: `${base}/order` }
    return answer(200, { ...urls, ...(place ? { renewalInfo: base.replace('https:', place) } : {}) })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const order = async () => {
    const directory = `https://localhost:${portOf(server)}/directory`
    const account = { directory, contact: undefined, key: openKey(generateKey()) }
    const authority = await Authority.open(createAsk([cert]), account, new AbortController().signal)
    return authority.order('a.example', old)
  }
  try {
    assert.match((await order()).url, /\/o$/)
    assert.equal(orders.splice(0), [certificateId(old), undefined])
    silent = true
    assert.match(String(await order().catch(String)), /cannot be reached/)
    assert.equal(orders.splice(0), [certificateId(old)], 'one that did not answer may have made the order')
    silent = false
    for (place of [undefined, 'http:']) {
      await order()
      assert.equal(orders.splice(0), [undefined])
    }
  } finally {
    server.close()
    server.closeAllConnections()
  }
})

test('an authority is asked over TLS only, and contacted by a mail address', () => {
  const SLUICE_ACME_DIRECTORY = 'https://acme.example.com/directory'
  assert.is(readConfig({}).acme, undefined)
  assert.equal(readConfig({ SLUICE_ACME_DIRECTORY, SLUICE_ACME_CONTACT: 'ops@example.com' }).acme, {
    ...{ directory: SLUICE_ACME_DIRECTORY, contact: 'ops@example.com', binding: undefined, hosts: false },
  })
  for (const odd of ['http://acme.example.com/', 'acme.example.com', 'file:///etc/passwd'])
    assert.throws(() => readConfig({ SLUICE_ACME_DIRECTORY: odd }), /must be an https URL/)
  for (const odd of ['ops', 'mailto:ops@example.com', 'a b@example.com'])
    assert.throws(() => readConfig({ SLUICE_ACME_DIRECTORY, SLUICE_ACME_CONTACT: odd }), /must be a mail address/)
})

test('well-known authorities have short names', () => {
  const named = (SLUICE_ACME_DIRECTORY: string) => readConfig({ SLUICE_ACME_DIRECTORY }).acme?.directory
  assert.is(named('letsencrypt'), 'https://acme-v02.api.letsencrypt.org/directory')
  assert.is(named('letsencrypt-staging'), 'https://acme-staging-v02.api.letsencrypt.org/directory')
})

test('apps’ own hosts get certificates below a public domain, unless they are not to', () => {
  const hosts = (settings: Record<string, string>) =>
    readConfig({ SLUICE_ACME_DIRECTORY: 'letsencrypt', ...settings }).acme?.hosts
  assert.is(hosts({ SLUICE_DOMAIN: 'apps.example.com' }), true)
  assert.is(hosts({ SLUICE_DOMAIN: 'apps.example.com', SLUICE_ACME_HOSTS: 'off' }), false)
  for (const local of ['localhost', 'sluice.localhost', 'apps.internal', 'apps.local', 'sluice'])
    assert.is(hosts({ SLUICE_DOMAIN: local, SLUICE_ACME_HOSTS: 'on' }), false, local)
  assert.throws(() => hosts({ SLUICE_ACME_HOSTS: 'yes' }), /SLUICE_ACME_HOSTS is "yes"; it must be on or off/)
})

test('a customer’s key is whole, and no message says it', () => {
  const binding = (kid: string, hmac: string) =>
    readConfig({ SLUICE_ACME_DIRECTORY: 'letsencrypt', SLUICE_ACME_EAB_KID: kid, SLUICE_ACME_EAB_HMAC: hmac })
  assert.equal(binding('kid', 'c2VjcmV0LXNlY3JldA').acme?.binding, { kid: 'kid', hmac: 'c2VjcmV0LXNlY3JldA' })
  assert.throws(() => binding('kid', ''), /set both/)
  assert.throws(() => binding('', 'c2VjcmV0LXNlY3JldA'), /set both/)
  try {
    binding('kid', 'se cret')
    assert.unreachable()
  } catch (error) {
    assert.match(String(error), /must be in base64url/)
    assert.not.match(String(error), /se cret/)
  }
})

test('a key is bound to a customer by the customer’s own', () => {
  const key = openKey(generateKey())
  const hmac = Buffer.from('a secret of the customer').toString('base64url')
  const { protected: head, payload, signature } = bind({ kid: 'kid', hmac }, 'https://a.example/new', key) as Jws
  assert.equal(JSON.parse(String(Buffer.from(head, 'base64url'))), {
    ...{ alg: 'HS256', kid: 'kid', url: 'https://a.example/new' },
  })
  assert.equal(JSON.parse(String(Buffer.from(payload, 'base64url'))), key.jwk)
  const wanted = createHmac('sha256', 'a secret of the customer').update(`${head}.${payload}`).digest('base64url')
  assert.is(signature, wanted)
})

type Jws = Record<'protected' | 'payload' | 'signature', string>

test.run()
