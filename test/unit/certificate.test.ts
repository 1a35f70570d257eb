import { X509Certificate } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ensureCertificates } from '../../daemon/route/certificate.ts'

let data = ''
test.before.each(async () => {
  data = await mkdtemp(join(tmpdir(), 'sluice-tls-'))
})
test.after.each(() => rm(data, { recursive: true }))

const make = (domain = 'localhost') => ensureCertificates({ data, domain, api: { hosts: ['127.0.0.1', '::1'] } })
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
  const { key } = await make()
  await make('example.com')
  await writeFile(join(data, 'tls', 'key.pem'), key)
  const repaired = await make('example.com')
  assert.is.not(repaired.key, key)
})

test.run()
