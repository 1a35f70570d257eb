import { X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSecureContext } from 'node:tls'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ensureCertificates } from '../../daemon/route/certificate.ts'
import { openIssuer } from '../../daemon/route/issuer.ts'

const DAY = 24 * 3600 * 1000

test('what is issued is as the platform’s own but for its name', async () => {
  const data = await mkdtemp(join(tmpdir(), 'sluice-issuer-'))
  try {
    const own = await ensureCertificates({ data, domain: 'localhost', api: { hosts: [] } })
    const ca = new X509Certificate(await readFile(join(data, 'tls', 'ca.pem')))
    const issuer = await openIssuer(data, own)
    const now = Date.parse('2049-06-01T12:00:00Z')
    const { chain, key } = await issuer.issue('a.localhost', now)
    const [issued, model] = [new X509Certificate(chain), new X509Certificate(own.cert)]
    assert.ok(issued.verify(ca.publicKey) && issued.checkIssued(ca) && !issued.ca)
    assert.is(issued.subjectAltName, 'DNS:a.localhost')
    assert.is(Date.parse(issued.validFrom), now - DAY)
    assert.is(Date.parse(issued.validTo), now + 397 * DAY)
    for (const field of ['subject', 'issuer', 'keyUsage'] as const) assert.equal(issued[field], model[field], field)
    assert.ok(issued.publicKey.equals(model.publicKey))
    assert.ok(createSecureContext({ cert: chain, key }))
    assert.is.not(new X509Certificate((await issuer.issue('a.localhost', now)).chain).serialNumber, issued.serialNumber)
    const long = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.localhost`
    assert.ok(new X509Certificate((await issuer.issue(long, now)).chain).checkHost(long))
  } finally {
    await rm(data, { recursive: true })
  }
})

test.run()
