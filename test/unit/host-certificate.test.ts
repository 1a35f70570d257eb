import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ensureCertificates } from '../../daemon/route/certificate.ts'
import { createHostCertificates } from '../../daemon/route/host-certificate.ts'
import type { AppRoute } from '../../router/protocol.ts'

const DAY = 24 * 3600 * 1000
const now = Date.now()
let data = ''
let clock = { now: () => now }

test.before.each(async () => {
  data = await mkdtemp(join(tmpdir(), 'sluice-host-'))
  clock = { now: () => now }
})
test.after.each(() => rm(data, { recursive: true }))

const config = (domain = 'localhost') => ({ data, domain, api: { hosts: [] } })
const open = (domain?: string) => createHostCertificates(config(domain), { ...clock, now: () => clock.now() } as never)

const route = (name: string): AppRoute => ({
  ...{
    id: name,
    name,
    hosts: [`${name}.localhost`, 'www.example.com'],
    maintenance: false,
    empty: 'none',
    backends: [],
  },
  certificates: [{ id: 'own', hosts: ['www.example.com'] }],
})

const idsOf = (routes: AppRoute[]): string[] => routes.map(({ certificates }) => certificates[0]?.id ?? '')

/** What OpenSSL says of this chain for this name. */
async function verified(cert: string, name: string): Promise<boolean> {
  const [leaf = ''] = cert.split(/(?<=-----END CERTIFICATE-----\n)/)
  await writeFile(join(data, 'leaf.pem'), leaf)
  const args = ['verify', '-CAfile', join(data, 'tls', 'ca.pem'), '-verify_hostname', name, join(data, 'leaf.pem')]
  return promisify(execFile)('openssl', args).then(
    () => true,
    () => false,
  )
}

test('below a single label each app’s host is bound to a certificate of that name, and OpenSSL takes it', async () => {
  const own = await open()
  const [bound] = own.bind([route('a')])
  const [id = ''] = idsOf([bound as AppRoute])
  assert.equal(bound?.certificates, [
    { id, hosts: ['a.localhost'] },
    { id: 'own', hosts: ['www.example.com'] },
  ])
  const pair = (await own.pairs([id, 'own'])).get(id)
  assert.ok(await verified(pair?.chain ?? '', 'a.localhost'))
  assert.not(await verified(pair?.chain ?? '', 'b.localhost'))
  assert.ok(new X509Certificate(pair?.chain ?? '').toString())
  // the reason for all this
  const wildcard = await ensureCertificates(config())
  assert.not(await verified(wildcard.cert, 'a.localhost'))
})

test('other ids are left to others', async () => {
  const own = await open()
  assert.equal([...(await own.pairs(['own', 'b2f1c0de', ''])).keys()], [])
})

test('below a real domain the wildcard does, and nothing is bound', async () => {
  const own = await open('apps.example.com')
  assert.equal(own.bind([route('a')]), [route('a')])
  assert.equal([...(await own.pairs(['host:a.apps.example.com:1:2'])).keys()], [])
  const { cert } = await ensureCertificates(config('apps.example.com'))
  assert.ok(await verified(cert, 'a.apps.example.com'))
})

test('an id stays over a restart, and is another one long before the certificate ends', async () => {
  const [id = ''] = idsOf((await open()).bind([route('a')]))
  const own = await open()
  assert.equal(idsOf(own.bind([route('a')])), [id])
  const changes: number[] = []
  let before = id
  for (let day = 1; day <= 720; day++) {
    clock.now = () => now + day * DAY
    const [next = ''] = idsOf(own.bind([route('a')]))
    if (next !== before) changes.push(day)
    before = next
  }
  assert.is(changes.length, 4)
  const gaps = changes.slice(1).map((day, at) => day - (changes[at] ?? 0))
  assert.ok(
    gaps.every((days) => days === 180),
    gaps.join(),
  )
  clock.now = () => now
  const { chain } = (await own.pairs([id])).get(id) ?? { chain: '' }
  assert.ok(Date.parse(new X509Certificate(chain).validTo) - now > 396 * DAY)
})

test('a thousand hosts are not renewed on one day', async () => {
  const own = await open()
  const apps = Array.from({ length: 1000 }, (_, n) => route(`app-${n}`))
  const today = idsOf(own.bind(apps))
  clock.now = () => now + DAY
  const renewed = idsOf(own.bind(apps)).filter((id, at) => id !== today[at])
  assert.ok(renewed.length < 50, `${renewed.length} at once`)
})

test('another authority or another key of the platform’s means other ids', async () => {
  const [first = ''] = idsOf((await open()).bind([route('a')]))
  await rm(join(data, 'tls', 'cert.pem'))
  const [second = ''] = idsOf((await open()).bind([route('a')]))
  assert.is.not(second, first)
  const pair = (await (await open()).pairs([second])).get(second)
  assert.is(pair?.key, await readFile(join(data, 'tls', 'key.pem'), 'utf8'))
})

test.run()
