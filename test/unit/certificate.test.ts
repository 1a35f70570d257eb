import { execFile } from 'node:child_process'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { generateKey } from '../../daemon/acme/key.ts'
import { DAY, ensureCertificates } from '../../daemon/route/certificate.ts'
import { signAuthority } from '../../daemon/route/signer.ts'

let data = ''
test.before.each(async () => {
  data = await mkdtemp(join(tmpdir(), 'sluice-tls-'))
})
test.after.each(() => rm(data, { recursive: true }))

const now = Date.now()
const make = (domain = 'localhost', at = now) =>
  ensureCertificates({ data, domain, api: { hosts: ['127.0.0.1', '::1'] } }, at)
const read = (name: string): Promise<string> => readFile(join(data, 'tls', name), 'utf8')

test('the certificate holds the names of the platform and is signed by its authority', async () => {
  const { cert } = await make('apps.example.com')
  const leaf = new X509Certificate(cert)
  const ca = new X509Certificate(await read('ca.pem'))
  assert.ok(leaf.verify(ca.publicKey) && leaf.checkIssued(ca))
  assert.ok(ca.ca && !leaf.ca)
  for (const name of ['localhost', 'apps.example.com', 'shop.apps.example.com']) assert.ok(leaf.checkHost(name), name)
  for (const address of ['127.0.0.1', '::1']) assert.ok(leaf.checkIP(address), address)
  assert.not(leaf.checkHost('example.com'))
})

test('it is made once', async () => {
  const first = await make()
  const ca = await read('ca.pem')
  assert.equal(await make(), first)
  assert.is(await read('ca.pem'), ca)
})

test('another domain gets a new certificate from the same authority', async () => {
  const first = await make()
  const ca = await read('ca.pem')
  const second = await make('example.com')
  assert.is.not(second.cert, first.cert)
  assert.is(await read('ca.pem'), ca)
})

test('keys are readable by their owner only, and no half-written file is left', async () => {
  await make()
  assert.equal((await readdir(join(data, 'tls'))).sort(), ['ca.key', 'ca.pem', 'cert.pem', 'key.pem'])
  for (const name of ['ca.key', 'key.pem']) assert.is((await stat(join(data, 'tls', name))).mode & 0o777, 0o600)
})

test('a key and a certificate that a crash left apart are made anew', async () => {
  await make()
  const stray = generateKey()
  await writeFile(join(data, 'tls', 'key.pem'), stray)
  const repaired = await make()
  assert.is.not(repaired.key, stray)
  assert.ok(new X509Certificate(repaired.cert).checkPrivateKey(createPrivateKey(repaired.key)))
})

test('it is renewed when less than 30 days are left, with the same key', async () => {
  const first = await make()
  assert.equal(await make('localhost', now + 366 * DAY), first)
  const second = await make('localhost', now + 368 * DAY)
  assert.is.not(second.cert, first.cert)
  assert.is(second.key, first.key)
  assert.is(await read('cert.pem'), second.cert)
  assert.is(Date.parse(new X509Certificate(second.cert).validTo), seconds(now + 368 * DAY + 397 * DAY))
})

test('the authority outlives what it signs: it is renewed with its key, and who trusts the one from before goes on', async () => {
  await make()
  const before = await read('ca.pem')
  await make('localhost', now + 3200 * DAY)
  assert.is(await read('ca.pem'), before)
  const key = await read('ca.key')
  const at = now + 3230 * DAY
  await make('localhost', at)
  const [old, renewed] = [new X509Certificate(before), new X509Certificate(await read('ca.pem'))]
  assert.is(Date.parse(renewed.validTo), seconds(at + 3650 * DAY))
  assert.is(await read('ca.key'), key)
  // at the last moment of the one from before, with a leaf from after
  await rm(join(data, 'tls', 'cert.pem'))
  await make('localhost', Date.parse(old.validTo) - 20 * DAY)
  await writeFile(join(data, 'before.pem'), before)
  for (const trusted of ['before.pem', join('tls', 'ca.pem')]) {
    const when = String(Math.floor(Date.parse(old.validTo) / 1000) - 10 * 86_400)
    const args = ['verify', '-attime', when, '-CAfile', join(data, trusted), '-untrusted', join(data, 'tls', 'ca.pem')]
    const { stdout } = await promisify(execFile)('openssl', [...args, join(data, 'tls', 'cert.pem')])
    assert.match(stdout, /cert\.pem: OK/, trusted)
  }
})

test('what was made while the clock was years ahead is made anew, with the same keys', async () => {
  await make()
  const keys = [await read('ca.key'), await read('key.pem')]
  await make('localhost', now + 3300 * DAY)
  const { cert } = await make()
  for (const found of [cert, await read('ca.pem')])
    assert.ok(Date.parse(new X509Certificate(found).validFrom) <= now, new X509Certificate(found).subject)
  assert.equal([await read('ca.key'), await read('key.pem')], keys)
})

test('another authority than ours in its place is taken, and never replaced', async () => {
  const key = generateKey()
  const cert = await signAuthority('CN=Example Inc.', key, now - 3600 * DAY)
  await mkdir(join(data, 'tls'))
  await writeFile(join(data, 'tls', 'ca.key'), key)
  await writeFile(join(data, 'tls', 'ca.pem'), cert)
  const leaf = new X509Certificate((await make()).cert)
  assert.is(leaf.issuer, 'CN=Example Inc.')
  assert.is(await read('ca.pem'), cert)
})

/** What a certificate can say of a time. */
const seconds = (ms: number): number => Math.floor(ms / 1000) * 1000

test.run()
