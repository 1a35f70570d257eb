import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type AcmeRig, startAcmeRig } from './acme-rig.ts'
import { make } from './chains.ts'
import { client } from './router-rig.ts'

/** Automated Certificate Management against a real authority, which looks at the challenges through the real router. */

const DAY = 24 * 3600 * 1000
let rig: AcmeRig
test.before(async () => {
  rig = await startAcmeRig()
  rig.dns.known.add('www.example.com')
})
test.after(() => rig.close())

let count = 0
/** An app of its own for a test, with these domains. */
async function app(...hostnames: string[]): Promise<string> {
  const name = `acm-${++count}`
  await api('POST', '/apps', { name })
  for (const hostname of hostnames) await api('POST', `/apps/${name}/domains`, { hostname })
  return name
}

async function api(method: string, path: string, body?: unknown) {
  const answer = await rig.host.request(method, path, body === undefined ? {} : { body })
  assert.ok(answer.status < 300, `${method} ${path}: ${answer.text}`)
  return answer.json
}

/** Waits until the domain has this status; its other words. */
async function until(
  name: string,
  hostname: string,
  status: string,
): Promise<{ reason: string | null; endpoint: string }> {
  const deadline = Date.now() + 50_000
  for (;;) {
    const { acm_status, acm_status_reason, sni_endpoint } = await api('GET', `/apps/${name}/domains/${hostname}`)
    if (acm_status === status) {
      await rig.followed()
      return { reason: acm_status_reason, endpoint: sni_endpoint?.name }
    }
    if (Date.now() > deadline)
      throw new Error(
        `${hostname} is ${acm_status} (${acm_status_reason}), not ${status}: ${rig.host.logged.slice(-5)}`,
      )
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

test('a domain gets a certificate that the router serves; enabled before or after it was added', async () => {
  const name = await app('www.example.com')
  assert.is((await rig.greet('www.example.com')).trusted, false)
  assert.is((await api('POST', `/apps/${name}/acm`, {})).acm, true)
  const { reason, endpoint } = await until(name, 'www.example.com', 'cert issued')
  assert.is(reason, null)
  const { names, trusted } = await rig.greet('www.example.com')
  assert.equal([names, trusted], ['DNS:www.example.com', true])
  const { ssl_cert, domains } = await api('GET', `/apps/${name}/sni-endpoints/${endpoint}`)
  assert.equal([ssl_cert.acm, ssl_cert.cert_domains, domains.length], [true, ['www.example.com'], 1])

  rig.dns.known.add('later.example.com')
  await api('POST', `/apps/${name}/domains`, { hostname: 'later.example.com' })
  await until(name, 'later.example.com', 'cert issued')
  assert.equal(await rig.greet('later.example.com').then((one) => [one.names, one.trusted]), [
    'DNS:later.example.com',
    true,
  ])
  await api('DELETE', `/apps/${name}/acm`)
  await api('DELETE', `/apps/${name}/domains/www.example.com`)
})

test('keys are sealed, and no log says them; the challenge is answered no more', async () => {
  const rows = JSON.stringify([
    await rig.host.d.db.selectFrom('acme_accounts').selectAll().execute(),
    await rig.host.d.db.selectFrom('sni_endpoints').selectAll().execute(),
  ])
  assert.match(rows, /private_key/)
  assert.not.match(rows + rig.host.logged.join(''), /PRIVATE KEY/)
  const lines = rig.host.d.logs.recent((await api('GET', '/apps/acm-1')).id, {}, 100).map(({ text }) => text)
  const challenge = lines.map((text) => /path="(\/\.well-known\/acme-challenge\/[\w-]+)" .* status=200/.exec(text)?.[1])
  const path = challenge.find((found) => found !== undefined)
  assert.ok(path, lines.join('\n'))
  assert.ok(lines.includes('Certificate for www.example.com issued'), lines.join('\n'))
  assert.equal(rig.host.d.acm.challenges(), [])
  const asking = client(rig.ports.http).write(`GET ${path} HTTP/1.1\r\nHost: later.example.com\r\n\r\n`)
  assert.match(await asking.until(/\r\n\r\n/), /^HTTP\/1\.1 503 /)
  asking.socket.destroy()
})

test('a certificate is renewed when a third of its life is left; the old one is served until then', async () => {
  rig.dns.known.add('renewed.example.com')
  const name = await app('renewed.example.com')
  await api('POST', `/apps/${name}/acm`, {})
  const { endpoint } = await until(name, 'renewed.example.com', 'cert issued')
  const { ssl_cert } = await api('GET', `/apps/${name}/sni-endpoints/${endpoint}`)
  const first = await rig.greet('renewed.example.com')
  const life = Date.parse(ssl_cert.expires_at) - Date.parse(ssl_cert.starts_at)
  rig.passTime((life * 2) / 3 - DAY)
  await rig.restart()
  assert.is((await rig.greet('renewed.example.com')).serial, first.serial, 'a day before it is time')
  rig.dns.known.delete('renewed.example.com')
  rig.passTime(2 * DAY)
  await until(name, 'renewed.example.com', 'failing')
  assert.is((await rig.greet('renewed.example.com')).serial, first.serial, 'while it cannot be had')
  rig.dns.known.add('renewed.example.com')
  rig.passTime(DAY)
  await until(name, 'renewed.example.com', 'cert issued')
  const second = await rig.greet('renewed.example.com')
  assert.ok(second.trusted && second.serial !== first.serial)
  const endpoints = await api('GET', `/apps/${name}/sni-endpoints`)
  assert.equal(
    endpoints.map((one: { name: string }) => one.name),
    [endpoint],
  )
})

test('a domain that does not lead here fails with the reason, holds up no other, and is tried again when it is asked for', async () => {
  rig.dns.known.add('good.example.com')
  const name = await app('bad.example.com', 'good.example.com', '*.example.org')
  await api('POST', `/apps/${name}/acm`, {})
  await until(name, 'good.example.com', 'cert issued')
  assert.match((await until(name, 'bad.example.com', 'failing')).reason ?? '', /bad\.example\.com/)
  assert.match(
    (await until(name, '*.example.org', 'failed')).reason ?? '',
    /wildcard domain needs a certificate of your own/,
  )
  for (let failure = 0; failure < 4; failure++) {
    const before = rig.host.logged.length
    rig.passTime(2 * 3600 * 1000)
    const deadline = Date.now() + 50_000
    while (!rig.host.logged.slice(before).some((line) => /no certificate.*bad\.example\.com/.test(line))) {
      assert.ok(Date.now() < deadline, 'another try')
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  await until(name, 'bad.example.com', 'failed')
  rig.dns.known.add('bad.example.com')
  rig.passTime(2 * 3600 * 1000)
  await api('PATCH', `/apps/${name}/acm`, { acm_refresh: true })
  await until(name, 'bad.example.com', 'cert issued')
})

test('a domain with a certificate of the app’s own is left alone, and gets one when that is removed', async () => {
  rig.dns.known.add('own.example.com')
  const name = await app()
  const { cert, key } = await make({ names: ['own.example.com'], days: 9000 })
  const own = await api('POST', `/apps/${name}/sni-endpoints`, { certificate_chain: cert, private_key: key })
  await api('POST', `/apps/${name}/domains`, { hostname: 'own.example.com', sni_endpoint: own.name })
  await api('POST', `/apps/${name}/acm`, {})
  const status = await until(name, 'own.example.com', 'cert issued')
  assert.equal([status.endpoint, status.reason], [own.name, 'A certificate that was added by hand is served.'])
  assert.is((await rig.greet('own.example.com')).trusted, false)
  await api('DELETE', `/apps/${name}/sni-endpoints/${own.name}`)
  const { endpoint } = await until(name, 'own.example.com', 'cert issued')
  assert.ok(endpoint !== own.name && (await rig.greet('own.example.com')).trusted)

  const taken = await rig.host.request('DELETE', `/apps/${name}/sni-endpoints/${endpoint}`)
  assert.match(taken.json.message, /is managed automatically\. Replace it with certs:update/)
  const wanted = { body: { hostname: 'b.example.com', sni_endpoint: endpoint } }
  assert.match((await rig.host.request('POST', `/apps/${name}/domains`, wanted)).json.message, /for one domain/)
  const replaced = { certificate_chain: cert, private_key: key }
  assert.is((await api('PATCH', `/apps/${name}/sni-endpoints/${endpoint}`, replaced)).ssl_cert.acm, false)
  assert.match((await until(name, 'own.example.com', 'cert issued')).reason ?? '', /by hand/)
})

test('what was on its way when the daemon died is begun anew, and no challenge is left over', async () => {
  rig.dns.known.add('crash.example.com')
  rig.dns.silent = true
  const name = await app('crash.example.com')
  await api('POST', `/apps/${name}/acm`, {})
  const deadline = Date.now() + 50_000
  while (rig.host.d.acm.challenges().length === 0) {
    assert.ok(Date.now() < deadline, 'a challenge')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  const [challenge] = rig.host.d.acm.challenges()
  await rig.host.d.acm.stop()
  const state = () =>
    rig.host.d.db.selectFrom('acm_domains').select('state').orderBy('updated_at', 'desc').executeTakeFirst()
  assert.is((await state())?.state, 'verifying')
  rig.dns.silent = false
  await rig.restart()
  await until(name, 'crash.example.com', 'cert issued')
  const asking = client(rig.ports.http).write(
    `GET /.well-known/acme-challenge/${challenge?.token} HTTP/1.1\r\nHost: crash.example.com\r\n\r\n`,
  )
  assert.match(await asking.until(/\r\n\r\n/), /^HTTP\/1\.1 503 /)
  asking.socket.destroy()
})

test('the authority is not told to look before a router answers it', async () => {
  rig.dns.known.add('early.example.com')
  const name = await app('early.example.com')
  await rig.stopRouter()
  await api('POST', `/apps/${name}/acm`, {})
  const deadline = Date.now() + 50_000
  while (rig.host.d.acm.challenges().length === 0) {
    assert.ok(Date.now() < deadline, 'a challenge')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  await rig.host.d.routers.publish()
  assert.not(rig.dns.asked.includes('early.example.com'))
  assert.is((await api('GET', `/apps/${name}/domains/early.example.com`)).acm_status, 'pending')
  rig.startRouter()
  await until(name, 'early.example.com', 'cert issued')
  assert.ok(rig.dns.asked.includes('early.example.com'))
})

test('turned off, its certificates go, and the platform’s own is served', async () => {
  rig.dns.known.add('off.example.com')
  const name = await app('off.example.com')
  await api('POST', `/apps/${name}/acm`, {})
  await until(name, 'off.example.com', 'cert issued')
  assert.is((await api('DELETE', `/apps/${name}/acm`)).acm, false)
  assert.equal(await api('GET', `/apps/${name}/sni-endpoints`), [])
  const { acm_status, sni_endpoint } = await api('GET', `/apps/${name}/domains/off.example.com`)
  assert.equal([acm_status, sni_endpoint], [null, null])
  await rig.followed()
  assert.is((await rig.greet('off.example.com')).trusted, false)
})

test.run()
