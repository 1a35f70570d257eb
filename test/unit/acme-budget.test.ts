import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { limits } from '../../daemon/limits.ts'
import { type Asking, budgetOf, type Order, registered } from '../../daemon/route/acme-budget.ts'

const HOUR = 3_600_000
const NOW = 1_800_000_000_000
const WEEK = 7 * 24 * HOUR

let id = 0
const order = (hostname: string, change: Partial<Order> = {}): Order => ({
  ...{ id: id++, directory: 'd', hostname, kind: 'name', outcome: 'issued', until: null, created_at: NOW - HOUR },
  ...change,
})
const many = (count: number, change: Partial<Order> = {}): Order[] =>
  Array.from({ length: count }, (_, n) => order(`${n}.example.com`, { created_at: NOW - WEEK + 1000 + n, ...change }))
const at = (orders: Order[], asking: Partial<Asking> = {}): number =>
  budgetOf(orders, NOW)({ hostname: 'new.example.com', kind: 'name', ...asking }).at

test('below one registered domain there are so many first certificates in a week; then the oldest makes room', () => {
  assert.is(at(many(limits.acmeWeekly - 1)), 0)
  const full = many(limits.acmeWeekly + 1)
  assert.is(at(full), NOW + 1001)
  assert.match(budgetOf(full, NOW)({ hostname: 'a.example.com', kind: 'name' }).why, /below example\.com/)
  assert.is(at(full, { hostname: 'new.example.org' }), 0)
  assert.is(at(full, { kind: 'renewal' }), 0, 'a renewal is no new name')
  assert.is(at(many(limits.acmeWeekly, { kind: 'renewal' })), 0)
})

test('apps’ own hosts leave room for the platform’s names and for what users ask for', () => {
  const hosts = many(limits.acmeWeeklyHosts, { kind: 'host' })
  assert.is(at(hosts, { kind: 'host' }), NOW + 1000)
  assert.is(at(hosts), 0)
})

test('one name has few certificates in a week, and few failures in an hour', () => {
  const same = Array.from({ length: limits.acmeSame }, () => order('new.example.com', { kind: 'renewal' }))
  assert.is(at(same, { kind: 'renewal' }), NOW - HOUR + WEEK)
  const failed = (created_at: number) =>
    Array.from({ length: limits.acmeFailures }, () => order('new.example.com', { outcome: 'failed', created_at }))
  assert.is(at(failed(NOW - 1000)), NOW - 1000 + HOUR)
  assert.ok(at(failed(NOW - 2 * HOUR)) <= NOW)
  assert.is(at(failed(NOW - 1000), { hostname: 'other.example.com' }), 0)
})

test('what a crash has broken off counts as a certificate and as a failure', () => {
  assert.is(at(many(limits.acmeWeekly, { outcome: 'underway' })), NOW + 1000)
  const broken = Array.from({ length: 4 }, () => order('new.example.com', { outcome: 'underway', created_at: NOW }))
  assert.ok(at(broken) >= NOW + HOUR)
})

test('a refusal holds for its registered domain; with a second one it holds for all', () => {
  const refused = (hostname: string, until: number) =>
    order(hostname, { outcome: 'limited', until, created_at: NOW - 1000 })
  const one = refused('a.example.com', NOW + 5000)
  assert.is(at([one]), NOW + 5000)
  assert.is(at([one], { hostname: 'example.org' }), 0)
  assert.is(at([one, refused('b.example.com', NOW + 4000)], { hostname: 'example.org' }), 0)
  assert.is(at([one, refused('example.net', NOW + 7000)], { hostname: 'example.org' }), NOW + 7000)
  assert.is(at([one, refused('example.net', NOW - 1)], { hostname: 'example.org' }), 0, 'it is over')
  assert.is(at([one], { kind: 'renewal' }), NOW + 5000)
})

test('users who have used up domains of their own hold up all others for an hour, not for as long as theirs wait', () => {
  const refused = (hostname: string, created_at: number) =>
    order(hostname, { outcome: 'limited', until: NOW + WEEK, created_at })
  const two = [refused('a.example.com', NOW - 1000), refused('example.net', NOW - 2000)]
  assert.is(at(two, { hostname: 'example.org' }), NOW - 1000 + limits.acmeLimited)
  assert.is(at(two), NOW + WEEK)
  const earlier = two.map((one) => ({ ...one, created_at: NOW - limits.acmeLimited - 1 }))
  assert.ok(at(earlier, { hostname: 'example.org', kind: 'renewal' }) <= NOW)
})

test('a registered domain has two labels, or three where a country says so', () => {
  assert.equal(
    ['example.com', 'a.b.example.com', 'shop.example.co.uk', 'example.org.au', 'a.co.com', 'localhost'].map(registered),
    ['example.com', 'example.com', 'example.co.uk', 'example.org.au', 'co.com', 'localhost'],
  )
})

test.run()
