import { hostname } from 'node:os'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Daemon } from '../../daemon/daemon.ts'
import { limits } from '../../daemon/limits.ts'
import type { Certified } from '../../daemon/route/certificate-report.ts'
import type { Served } from '../../daemon/watch/certificates.ts'
import { dnsLooks } from '../../daemon/watch/dns.ts'
import { edgeLooks } from '../../daemon/watch/edge.ts'
import { examine, named } from '../../daemon/watch/finding.ts'

/** A database whose every query finds these rows. */
const finding = (rows: object[]): Daemon['db'] => {
  const query: object = new Proxy({}, { get: (_, name) => (name === 'execute' ? async () => rows : () => query) })
  return query as Daemon['db']
}

test('a look that hangs, and one that breaks, are told and spoil no other', async () => {
  let aborted = false
  const found = await examine(
    [
      { check: 'well', look: async () => ({ check: 'well', state: 'ok', text: 'Well.' }) },
      {
        check: 'hangs',
        look: (signal) =>
          new Promise(() => {
            signal.addEventListener('abort', () => {
              aborted = true
            })
          }),
      },
      { check: 'breaks', look: () => Promise.reject(new Error('no such thing')) },
    ],
    20,
  )
  assert.equal(
    found.map(({ check, state, text }) => `${check} ${state} ${text}`),
    [
      'well ok Well.',
      'hangs warn It could not be looked at within 0.02 seconds.',
      'breaks warn It could not be looked at: no such thing',
    ],
  )
  assert.ok(aborted)
})

test('of many names a few are told', () => {
  assert.is(named(['a']), 'a')
  assert.is(named(Array.from({ length: limits.doctorNames + 2 }, (_, n) => `n${n}`)), 'n0, n1, n2, n3, n4 and 2 more')
})

const domains = (domain: string, hostnames: string[], records: Record<string, string[]>, more = {}) => {
  const d = {
    ...{ config: { domain, names: undefined, ...more }, db: finding(hostnames.map((hostname) => ({ hostname }))) },
    routers: { list: () => [{ address: '192.0.2.9' }] },
  } as unknown as Daemon
  const names = { resolve: async (name: string) => records[name] ?? [], own: () => ['192.0.2.1'] }
  return examine(dnsLooks(d, names))
}
const said = (found: { state: string; text: string }[]) => found.map(({ state, text }) => `${state} ${text}`)

test('the wildcard of the platform leads here, elsewhere or nowhere', async () => {
  const at = (...addresses: string[]) => domains('example.com', [], { 'sluice-doctor.example.com': addresses })
  assert.equal(said(await at('192.0.2.1')), ['ok *.example.com leads here.'])
  assert.equal(said(await at('192.0.2.9')), ['ok *.example.com leads here.'], 'that is where a router is')
  assert.match(said(await at('203.0.113.1'))[0] ?? '', /^warn .*leads to 203\.0\.113\.1, which is no address of this/)
  assert.match(said(await at())[0] ?? '', /^fail .*leads nowhere/)
})

test('so must the names of API, git and images', async () => {
  const names = { api: 'api.example.com', git: 'git.example.com', registry: 'api.example.com' }
  const found = await domains('localhost', [], { 'api.example.com': ['192.0.2.1'] }, { names })
  assert.equal(said(found).slice(1), ['ok api.example.com leads here.', 'fail git.example.com leads nowhere.'])
})

test("apps' domains lead where the platform is, behind a load balancer too", async () => {
  const found = await domains('example.com', ['www.a.org', '*.b.org', 'c.org', 'd.org'], {
    'sluice-doctor.example.com': ['203.0.113.1'],
    'www.a.org': ['203.0.113.1'],
    'sluice-doctor.b.org': ['192.0.2.1'],
    'c.org': ['198.51.100.7'],
  })
  assert.is(said(found)[1], 'warn c.org, d.org do not lead here.')
  const well = await domains('localhost', ['www.a.org'], { 'www.a.org': ['192.0.2.1'] })
  assert.equal(said(well), ['ok Apps are at APP.localhost, on this machine only.', 'ok 1 domain of apps leads here.'])
})

const DAY = 86_400_000

const certificates = async (all: Partial<Served>[], failing: Partial<Certified>[] = []) => {
  const served = all.map((one) => ({ name: 'x', app: null, automatic: false, expiresAt: 90 * DAY, ...one }) as Served)
  const d = { clock: { now: () => 0 }, routers: { list: () => [] } } as unknown as Daemon
  const report = async () => failing as Certified[]
  const looks = edgeLooks(d, { firewall: { state: 'up' }, certificates: async () => served, report })
  return said((await examine(looks)).filter(({ check }) => check === 'certificates'))
}

test('certificates that have ended, end soon, or lead to no authority are told', async () => {
  assert.equal(await certificates([{ trust: 'trusted' }, { trust: 'self-signed' }]), [
    'ok 2 served, none near its end.',
  ])
  assert.equal(
    await certificates([
      { name: 'old', expiresAt: -DAY },
      { name: 'soon', expiresAt: DAY },
      { name: 'bare', trust: 'chain incomplete' },
    ]),
    [
      'fail old: has expired.',
      'warn soon: ends within 14 days.',
      'warn bare: its chain leads to no authority that browsers know.',
    ],
  )
})

test('so are domains whose certificate cannot be had, with the reason', async () => {
  const row = { hostname: 'www.a.org', state: 'failing' as const, reason: 'The authority could not reach it.' }
  const well = { hostname: 'www.b.org', state: 'issued' as const, reason: null }
  assert.equal(await certificates([], [well, row]), [
    'ok 0 served, none near its end.',
    'warn None, or no new one, can be had for www.a.org: The authority could not reach it.',
  ])
})

test('a router of another machine does not lead to the API, which matters when that has a name', async () => {
  const told = async (names: object | undefined, host: string) => {
    const list = () => [{ host, state: 'connected', behind: 0 }]
    const d = { clock: { now: () => 0 }, config: { names }, routers: { list } } as unknown as Daemon
    const sources = { firewall: { state: 'up' as const }, certificates: async () => [], report: async () => [] }
    return said((await examine(edgeLooks(d, sources))).filter(({ check }) => check === 'routers'))
  }
  const names = { api: 'api.example.com' }
  assert.equal(await told(names, hostname()), ['ok 1 connected.'])
  assert.equal(await told(undefined, 'far'), ['ok 1 connected.'])
  assert.match((await told(names, 'far'))[1] ?? '', /^warn far leads to apps and not to api\.example\.com/)
})

test('a firewall that is down is a failure, one that is off by setting a warning', async () => {
  const walls = async (state: 'up' | 'down' | 'unwanted') => {
    const d = { clock: { now: () => 0 }, routers: { list: () => [] } } as unknown as Daemon
    const sources = { firewall: { state }, certificates: async () => [], report: async () => [] }
    const found = await examine(edgeLooks(d, sources))
    return found.find(({ check }) => check === 'firewall')?.state
  }
  assert.equal(await Promise.all([walls('up'), walls('unwanted'), walls('down')]), ['ok', 'warn', 'fail'])
})

test.run()
