import { execFile } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { App } from '../../daemon/app/app.ts'
import type { Finding } from '../../daemon/watch/finding.ts'
import { make } from '../integration/chains.ts'
import { readExposition } from '../unit/exposition.ts'
import { startTeam } from './team-rig.ts'

const { host, ann, ask, good, refused } = await startTeam()
test.after(() => host.close())
const { d } = host
d.engine = { ...d.engine, images: d.engine.images, ping: async () => {} }
const rows = d.db.selectFrom('apps').selectAll()
const create = async (name: string): Promise<App> => {
  await good('POST', '/apps', { name })
  return rows.where('name', '=', name).executeTakeFirstOrThrow()
}

const tokenFile = join(d.config.data, 'metrics.token')
const bearer = async () => `Bearer ${(await readFile(tokenFile, 'utf8')).trim()}`
/** As Prometheus asks. */
const ACCEPT = 'application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2'
const scrape = (authorization: string, path = '/metrics') =>
  fetch(`${host.url}${path}`, { headers: { accept: ACCEPT, authorization } })

test('metrics are for the token that is made for them, and for an administrator', async () => {
  for (const authorization of [await bearer(), `Bearer ${host.token}`]) {
    const answer = await scrape(authorization)
    assert.is(answer.status, 200)
    assert.is(answer.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
    assert.ok(readExposition(await answer.text()).samples.size > 50)
  }
  assert.is((await scrape('')).status, 401)
  assert.is((await scrape('Bearer no')).status, 401)
  assert.is((await scrape(`Bearer ${ann.token}`)).status, 403)
  for (const path of ['/account', '/sluice/status', '/apps'])
    assert.is((await scrape(await bearer(), path)).status, 401)
})

test('a token that is replaced is another one at once, and without a file nobody is let in by an empty one', async () => {
  const old = await bearer()
  await writeFile(tokenFile, 'another\n')
  assert.is((await scrape(old)).status, 401)
  assert.is((await scrape('Bearer another')).status, 200)
  await writeFile(tokenFile, '\n')
  assert.is((await scrape('Bearer ')).status, 401)
  await rm(tokenFile)
  assert.is((await scrape('Bearer ')).status, 401)
  await writeFile(tokenFile, old.slice('Bearer '.length))
  assert.is((await scrape(old)).status, 200)
})

test('they tell apps, dynos, releases and requests as they are', async () => {
  const read = async () => readExposition(await (await scrape(await bearer())).text()).samples
  const before = await read()
  const grown = (now: Map<string, number>, name: string) => (now.get(name) ?? 0) - (before.get(name) ?? 0)
  await host.deploy(await create('shop'), { web: 'x', clock: 'x', worker: 'x' })
  await good('PATCH', '/apps/shop/formation/clock', { quantity: 2 })
  await host.settled()
  await good('GET', '/apps/shop')
  await ask('GET', '/apps/none')
  await ask('GET', '/no/such/route')
  const now = await read()
  assert.is(now.get('sluice_apps'), 1)
  assert.is(now.get('sluice_dynos{type="web",state="up"}'), 1)
  assert.is(now.get('sluice_dynos{type="(other)",state="up"}'), 2, 'users choose the names of types')
  assert.is(grown(now, 'sluice_releases_total{result="succeeded"}'), 1)
  assert.is(grown(now, 'sluice_api_requests_total{method="GET",route="/apps/:app",class="2xx"}'), 1)
  assert.is(grown(now, 'sluice_api_requests_total{method="GET",route="/apps/:app",class="4xx"}'), 1)
  assert.is(grown(now, 'sluice_api_requests_total{method="GET",route="(none)",class="4xx"}'), 1)
  assert.is(grown(now, 'sluice_api_request_seconds_count{method="GET",route="/apps/:app"}'), 2)
  assert.ok(grown(now, 'sluice_log_lines_total') > 0)
  assert.is([...now.keys()].filter((key) => key.includes('shop')).length, 0, 'no name of an app is a label')
  assert.is(now.get('sluice_routers{state="connected"}'), 0)
})

test('an engine that hangs holds up no scrape', async () => {
  const { images } = d.engine
  d.engine = { ...d.engine, images: { ...images, space: () => new Promise(() => {}) } }
  assert.is((await scrape(await bearer())).status, 200)
  d.engine = { ...d.engine, images }
})

test('a look at them reads no more rows when there are more releases', async () => {
  const plan = async (sql: string) => {
    const { CompiledQuery } = await import('kysely')
    const { rows } = await d.db.executeQuery<{ detail: string }>(CompiledQuery.raw(`EXPLAIN QUERY PLAN ${sql}`))
    return rows.map(({ detail }) => detail).join('\n')
  }
  assert.match(await plan('select type, state, count(*) from dynos group by state, type'), /COVERING INDEX dynos_state/)
  assert.match(
    await plan("select state, count(*) from rollouts where state in ('waiting') group by state"),
    /rollouts_state/,
  )
  const open = "select count(*) from webhook_deliveries where webhook_deliveries.status in ('pending', 'retrying')"
  assert.match(await plan(open), /INDEX webhook_deliveries_open/)
})

test('health is for everybody: what fails is named, and nothing else', async () => {
  const health = async () => {
    const answer = await fetch(`${host.url}/sluice/health`)
    return { status: answer.status, body: await answer.json() }
  }
  assert.equal(await health(), { status: 200, body: { status: 'ok' } })
  const { ping } = d.engine
  const { now } = d.clock
  let asked = 0
  d.engine.ping = async () => {
    asked++
    throw new Error('The Docker engine at /a/secret/path does not answer.')
  }
  const then = now()
  d.clock = { ...d.clock, now: () => then + 2000 }
  const [one] = await Promise.all([health(), health(), health()])
  assert.equal(one, { status: 503, body: { status: 'failing', failing: ['engine'] } })
  assert.is(asked, 1, 'many who ask share one look')
  d.engine.ping = ping
  assert.is((await health()).status, 503, 'what was found is good for a second')
  d.clock = { ...d.clock, now: () => then + 4000 }
  assert.is((await health()).status, 200)
  d.clock = { ...d.clock, now }
})

test('status is one answer for an administrator', async () => {
  const status = await good('GET', '/sluice/status')
  assert.is(status.apps, 1)
  assert.is(status.domain, 'localhost')
  assert.equal(status.queues, { boots: 0, builds: 0, webhook_deliveries: 0, drain_lines: 0, failing_apps: 0 })
  assert.ok(status.memory.size > status.memory.available && status.database > 0)
  assert.match(status.version, /^\d+\.\d+\.\d+/)
  for (const path of ['/sluice/status', '/sluice/doctor'])
    await refused(ask('GET', path, undefined, ann), 403, /administrator/)
})

const sluice = (words: string[], env: Record<string, string>) =>
  new Promise<{ code: number; out: string; err: string }>((resolve) => {
    const main = join(import.meta.dirname, '..', '..', 'cli', 'main.js')
    execFile(process.execPath, [main, ...words], { env: { ...process.env, ...env } }, (error, out, err) =>
      resolve({ code: Number(error?.code ?? 0), out, err }),
    )
  })
const here = { SLUICE_DATA: d.config.data, SLUICE_PORT: new URL(host.url).port, SLUICE_ADMIN_TOKEN: host.token }

test('the sluice command shows it on one screen', async () => {
  const { code, out } = await sluice(['status'], here)
  assert.is(code, 0)
  for (const line of [
    /^Platform +sluice \d\S+ on \S+, Node\.js \d\S+: well$/m,
    /^Up +.* s, apps at APP\.localhost$/m,
    /^Apps +1$/m,
    /^Dynos +\d+ up$/m,
    /^Builds +0 running, 0 waiting$/m,
    /^Routers +0 connected, 0 lost$/m,
    /^Disk \(data\) +\S+ [MGT]B of \S+ [GT]B free/m,
    /^Backup +none$/m,
    /^Certificates +0$/m,
  ])
    assert.match(out, line)
  assert.is(JSON.parse((await sluice(['status', '--json'], here)).out).apps, 1)
})

test('the doctor of the command tells what the daemon says and what is seen from outside, and ends with 1 when something fails', async () => {
  const { code, out, err } = await sluice(['doctor', '--json'], here)
  assert.is(code, 1, err)
  const { well, findings } = JSON.parse(out)
  assert.is(well, false)
  const said = (findings as Finding[]).map(({ check, state, text }) => `${state} ${check}: ${text}`).join('\n')
  assert.match(said, /^ok API: It answers at /m)
  assert.match(said, /^fail routers: No router is connected/m)
  assert.match(said, /^ok kernel: /m)
  assert.match(said, /^(ok|fail) ports: Port 5000 \(daemon\)/m)
  assert.match(err, /^ › {3}Error: \d+ of \d+ things fail\.$/m)
})

test('of a platform elsewhere it tells only what that says', async () => {
  // An address that leads here, and is none of those that a machine calls itself by.
  const elsewhere = { SLUICE_API_URL: `http://0.0.0.0:${here.SLUICE_PORT}`, SLUICE_API_KEY: host.token }
  const { now } = d.clock
  d.clock = { ...d.clock, now: () => now() + 60_000 }
  const { findings } = JSON.parse((await sluice(['doctor', '--json'], elsewhere)).out)
  d.clock = { ...d.clock, now }
  const clock = findings.find(({ check }: Finding) => check === 'clock')
  assert.match(clock?.text ?? '', /^The platform's clock is \d\d s off this machine's\.$/)
  const checks = new Set(findings.map(({ check }: Finding) => check))
  assert.ok(checks.has('routers') && !checks.has('kernel') && !checks.has('ports'), [...checks].join())
})

const examined = async (check: string): Promise<Finding[]> => {
  const { findings } = await good('GET', '/sluice/doctor')
  return findings.filter((one: Finding) => one.check === check)
}

test('the doctor says of each thing whether it is well, and what mends it', async () => {
  const { findings, host: settings } = await good('GET', '/sluice/doctor')
  const checks = new Set(findings.map(({ check }: Finding) => check))
  for (const check of [
    'engine',
    'stack images',
    'disk',
    'memory',
    'database',
    'routers',
    'firewall',
    'certificates',
    'DNS',
  ])
    assert.ok(checks.has(check), check)
  for (const one of findings as Finding[]) assert.is(one.remedy === undefined, one.state === 'ok', JSON.stringify(one))
  assert.is(settings.data, d.config.data)
  assert.match((await examined('routers'))[0]?.text ?? '', /No router is connected/)
  assert.equal(await examined('database'), [
    { check: 'database', state: 'ok', text: 'It answers, and its file is whole.' },
  ])
})

test('certificates are read once each, of domains and of names that get theirs by themselves', async () => {
  const soon = await make({ names: ['www.example.com'], days: 3 })
  const later = await make({ names: ['api.example.com'], days: 80 })
  await good('POST', '/apps/shop/sni-endpoints', { certificate_chain: soon.cert, private_key: soon.key })
  const row = { state: 'issued' as const, reason: null, failures: 0, next_at: 0, updated_at: 0, private_key: '' }
  const host = { hostname: 'api.example.com', app_id: null, certificate_id: 'a', certificate_chain: later.cert }
  await d.db
    .insertInto('acm_hosts')
    .values({ ...host, ...row })
    .execute()
  const { certificates } = await good('GET', '/sluice/status')
  const expiry = soon.certificate.notAfter.toISOString()
  assert.equal(certificates, { count: 2, ending: [{ name: 'www.example.com', expires_at: expiry }] })
  const text = await (await scrape(await bearer())).text()
  const seconds = soon.certificate.notAfter.getTime() / 1000
  assert.is(readExposition(text).samples.get('sluice_certificate_first_expiry_timestamp_seconds'), seconds)
  assert.equal(
    (await examined('certificates')).map(({ state, text }) => `${state} ${text}`),
    ['warn www.example.com: ends within 14 days.'],
  )
  await d.db.updateTable('acm_hosts').set({ certificate_chain: 'damaged' }).execute()
  assert.is((await good('GET', '/sluice/status')).certificates.count, 2, 'what an id stands for is not read again')
  await d.db.deleteFrom('acm_hosts').execute()
  assert.is((await good('GET', '/sluice/status')).certificates.count, 1)
})

test('the newest backup is told in metrics and status, and a failure', async () => {
  const { folder } = d.config.backups
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'sluice-20260102T030405Z.tar.zst'), '123')
  const at = '2026-01-02T03:04:05.000Z'
  assert.equal((await good('GET', '/sluice/status')).backup, { newest_at: at, size: 3, count: 1, failure: null })
  const { backups } = d
  d.backups = { ...backups, last: { at: 1, name: null, failure: 'There is no room.' } }
  const { samples } = readExposition(await (await scrape(await bearer())).text())
  assert.is(samples.get('sluice_backup_newest_timestamp_seconds'), Date.parse(at) / 1000)
  assert.is(samples.get('sluice_backup_failing'), 1)
  assert.match((await examined('backups'))[0]?.text ?? '', /There is no room/)
  d.backups = backups
})

test('it finds what is broken', async () => {
  const [app] = await d.db.selectFrom('apps').selectAll().execute()
  await d.db.updateTable('dynos').set({ state: 'crashed' }).where('type', '=', 'clock').execute()
  assert.match((await examined('dynos'))[0]?.text ?? '', /^clock\.\d of shop, clock\.\d of shop crashed/)
  const inspect = d.engine.images.inspect
  d.engine.images.inspect = async () => null
  assert.match((await examined('stack images'))[0]?.text ?? '', /no images of the stack heroku-24/)
  d.engine.images.inspect = inspect
  d.runner.state = () => ({ running: 0, failing: [app?.id ?? ''] })
  assert.match((await examined('apps'))[0]?.text ?? '', /Nothing gets done for shop/)
  const seen = Date.now()
  const router = {
    id: 'a',
    host: 'edge',
    address: '192.0.2.1',
    workers: 1,
    applied: 1,
    firstSeen: seen,
    lastSeen: seen,
  }
  d.routers.list = () => [
    { ...router, state: 'connected', behind: 3 },
    { ...router, host: 'near', state: 'awaited', behind: 0 },
    { ...router, host: 'far', state: 'lost', behind: 0 },
  ]
  assert.equal(
    (await examined('routers')).map(({ state, text }) => `${state} ${text.split(' ')[0]}`),
    ['ok 1', 'warn edge', 'warn near', 'warn far'],
  )
  d.engine.ping = async () => {
    throw new Error('The Docker engine does not answer.')
  }
  assert.equal((await examined('engine'))[0]?.state, 'fail')
})

test.run()
