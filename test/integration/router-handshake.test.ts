import { once } from 'node:events'
import { type ConnectionOptions, connect } from 'node:tls'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { EC, ED25519, type Made, make, rsa } from './chains.ts'
import { type SecureRig, startSecureRig } from './router-http2-rig.ts'
import { tableOf } from './router-rig.ts'

/** What a handshake settles on, and whose certificate it shows. */

let rig: SecureRig

test.before.each(async () => {
  rig = await startSecureRig()
})

test.after.each(() => rig.close())

/** Such as `TLSv1.3 TLS_AES_128_GCM_SHA256 *.localhost`. */
async function handshake(servername: string, options: ConnectionOptions = {}): Promise<string> {
  const to = { port: rig.securePort, host: '127.0.0.1', servername, rejectUnauthorized: false }
  const socket = connect({ ...to, ciphers: 'ALL:@SECLEVEL=0', ...options })
  try {
    await once(socket, 'secureConnect')
    return `${socket.getProtocol()} ${socket.getCipher().name} ${socket.getPeerCertificate().subject.CN}`
  } catch {
    return 'refused'
  } finally {
    socket.destroy()
  }
}

const P384 = { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' }
const kinds: Record<string, { algorithm: object; cipher: RegExp }> = {
  'p256.example.com': { algorithm: EC, cipher: /^ECDHE-ECDSA-/ },
  'rsa.example.com': { algorithm: rsa(2048), cipher: /^ECDHE-RSA-/ },
  'p384.example.com': { algorithm: P384, cipher: /^ECDHE-ECDSA-/ },
  'ed25519.example.com': { algorithm: ED25519, cipher: /^ECDHE-ECDSA-/ },
}

async function serveAll(): Promise<void> {
  const made = new Map<string, Made>()
  for (const [name, { algorithm }] of Object.entries(kinds)) made.set(name, await make({ names: [name], algorithm }))
  const hosts = [...made.keys()]
  rig.router.apply(tableOf(1, { hosts, certificates: hosts.map((host) => ({ id: host, hosts: [host] })) }))
  rig.use(new Map([...made].map(([id, { cert, key }]) => [id, { id, chain: cert, key }])))
}

test('an app’s certificate is shown whatever its kind of key, not the platform’s own beside it', async () => {
  await serveAll()
  for (const [name, { cipher }] of Object.entries(kinds)) {
    assert.match(await handshake(name), new RegExp(`^TLSv1\\.3 TLS_AES_128_GCM_SHA256 ${name}$`))
    const [version, two = '', subject] = (await handshake(name, { maxVersion: 'TLSv1.2' })).split(' ')
    assert.equal([version, subject], ['TLSv1.2', name])
    assert.match(two, cipher)
  }
  assert.match(await handshake('a.localhost'), /^TLSv1\.3 .* \*\.localhost$/)
})

test('TLS 1.2 and 1.3 with forward secrecy and authenticated encryption, and nothing older', async () => {
  await serveAll()
  for (const [name, kind] of [
    ['a.localhost', 'ECDSA'],
    ['rsa.example.com', 'RSA'],
  ] as const) {
    for (const version of ['TLSv1', 'TLSv1.1'] as const)
      assert.is(await handshake(name, { minVersion: version, maxVersion: version }), 'refused', version)
    const old = [`ECDHE-${kind}-AES128-SHA`, `ECDHE-${kind}-AES256-SHA384`, 'AES128-GCM-SHA256', 'AES128-SHA']
    for (const ciphers of old)
      assert.is(
        await handshake(name, { maxVersion: 'TLSv1.2', ciphers: `${ciphers}:@SECLEVEL=0` }),
        'refused',
        `${name} ${ciphers}`,
      )
    const strong = `ECDHE-${kind}-AES256-GCM-SHA384`
    assert.match(await handshake(name, { maxVersion: 'TLSv1.2', ciphers: strong }), new RegExp(strong))
  }
})

test('who puts ChaCha20 first gets it', async () => {
  const ciphers =
    'TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256'
  assert.match(await handshake('a.localhost', { ciphers }), /TLS_CHACHA20/)
  assert.match(await handshake('a.localhost', { ciphers, maxVersion: 'TLSv1.2' }), /ECDHE-ECDSA-CHACHA20/)
})

test('a protocol that is none of ours is refused, not guessed at', async () => {
  assert.is(await handshake('a.localhost', { ALPNProtocols: ['spdy/3'] }), 'refused')
  assert.match(await handshake('a.localhost', { ALPNProtocols: ['http/1.1'] }), /^TLSv1\.3/)
})

test.run()
