import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock } from '../../daemon/clock.ts'
import { createHostCertificates } from '../../daemon/route/host-certificate.ts'
import { ask, type SecureRig, startSecureRig } from './router-http2-rig.ts'
import { type Dyno, httpDyno, tableOf } from './router-rig.ts'

/** `https://APP.localhost` as a client sees it that trusts the platform's authority and nothing else. */

let rig: SecureRig
let dyno: Dyno
let data: string

test.before.each(async () => {
  data = await mkdtemp(join(tmpdir(), 'sluice-own-'))
  rig = await startSecureRig()
  dyno = await httpDyno((req, res) => res.end(`hello from ${req.headers.host?.replace(/:\d+$/, '')}`))
})

test.after.each(async () => {
  await rig.close()
  dyno.close()
  await rm(data, { recursive: true })
})

async function serve(...names: string[]): Promise<string[]> {
  const own = await createHostCertificates({ data, domain: 'localhost', api: { hosts: [] } }, systemClock)
  const apps = own.bind(
    names.flatMap((name) => {
      const backends = [dyno.route('serve', `dyno-${name}`)]
      return tableOf(1, { id: name, name, hosts: [`${name}.localhost`], backends }).apps
    }),
  )
  const ids = apps.flatMap(({ certificates }) => certificates.map(({ id }) => id))
  const pairs = await own.pairs(ids)
  rig.use(new Map([...pairs].map(([id, pair]) => [id, { id, ...pair }])))
  rig.router.apply({ version: 1, challenges: [], apps })
  return ids
}

async function curl(host: string): Promise<string> {
  const args = ['-sS', '--cacert', join(data, 'tls', 'ca.pem'), '--resolve', `${host}:${rig.securePort}:127.0.0.1`]
  const url = `https://${host}:${rig.securePort}/`
  return promisify(execFile)('curl', [...args, '-w', ' over HTTP/%{http_version}', url]).then(
    ({ stdout }) => stdout,
    ({ code }) => `curl: ${code}`,
  )
}

test('curl trusts each app’s own host, and no other name', async () => {
  await serve('a', 'b')
  for (const app of ['a', 'b']) assert.is(await curl(`${app}.localhost`), `hello from ${app}.localhost over HTTP/2`)
  // 60: the certificate does not verify
  assert.is(await curl('c.localhost'), 'curl: 60')
})

test('a connection that was made for one app is not used for another', async () => {
  await serve('a', 'b')
  const session = await rig.http2({ servername: 'a.localhost' })
  assert.is((await ask(session, { ':authority': 'b.localhost' })).headers[':status'], 421)
  assert.is((await ask(session, { ':authority': 'a.localhost' })).headers[':status'], 200)
})

test('what a thousand apps cost', async () => {
  const own = await createHostCertificates({ data, domain: 'localhost', api: { hosts: [] } }, systemClock)
  const apps = Array.from({ length: 1000 }, (_, n) => tableOf(1, { id: `${n}`, name: `app-${n}` }).apps).flat()
  const before = JSON.stringify(apps).length
  let begun = performance.now()
  const bound = own.bind(apps)
  const named = performance.now() - begun
  const ids = bound.flatMap(({ certificates }) => certificates.map(({ id }) => id))
  begun = performance.now()
  const pairs = await own.pairs(ids)
  const issued = performance.now() - begun
  const bytes = [...pairs].reduce((sum, [id, { chain, key }]) => sum + id.length + chain.length + key.length, 0)
  const more = JSON.stringify(bound).length - before
  console.log(
    `1000 apps: named in ${named.toFixed(0)} ms, ${more} bytes more of table; once a router ${bytes} bytes in ${issued.toFixed(0)} ms`,
  )
  assert.is(pairs.size, 1000)
  assert.is(new Set([...pairs.values()].map(({ key }) => key)).size, 1)
  assert.ok(more < 150_000, `${more} bytes`)
  assert.ok(bytes < 1_500_000, `${bytes} bytes`)
})

test.run()
