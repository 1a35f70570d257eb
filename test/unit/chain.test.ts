import { generateKeyPairSync } from 'node:crypto'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { covers, parsePair } from '../../daemon/route/chain.ts'

const covered = (hostname: string): boolean => covers({ cert_domains: ['example.com', '*.example.org'] }, hostname)

test('a certificate covers its names, and with a wildcard one more label', () => {
  for (const hostname of ['example.com', 'www.example.org', '*.example.org']) assert.ok(covered(hostname), hostname)
  for (const hostname of ['www.example.com', 'example.org', 'a.b.example.org', '*.example.com', 'xexample.org'])
    assert.not.ok(covered(hostname), hostname)
})

test('a key so long that its handshakes would hold up everybody is refused', () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 4104 })
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  assert.throws(() => parsePair('', pem, 0), /is RSA with 4104 bits, of which there may be 4096/)
})

test.run()
