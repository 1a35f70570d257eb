import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Problem } from '../../daemon/acme/problem.ts'
import { limits } from '../../daemon/limits.ts'
import {
  dueAt,
  failed,
  issued,
  limitedUntil,
  type Managed,
  nextTurn,
  type Progress,
  refreshed,
  statusOf,
} from '../../daemon/route/acm.ts'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE
const NOW = 1_800_000_000_000

const domain = (change: Partial<Managed> = {}): Managed => ({
  ...{ app_id: 'app', hostname: 'www.example.com', created_at: NOW, bound: 'platform', progress: null },
  ...change,
})
const progress = (change: Partial<Progress> = {}): Progress => ({
  ...{ state: 'failing', reason: 'why', failures: 1, next_at: NOW + 5, directory: '', updated_at: NOW - 5 },
  ...change,
})
const no = (kind: Problem['kind'], retryAfter?: number) => new Problem(kind, 'no', { retryAfter })

test('a new domain has its turn at once, one with a certificate of the app’s own or a wildcard never', () => {
  assert.is(dueAt(domain()), NOW)
  assert.is(dueAt(domain({ bound: 'manual', progress: progress({ next_at: 1 }) })), null)
  assert.is(dueAt(domain({ hostname: '*.example.com' })), null)
  assert.is(dueAt(domain({ progress: progress() })), NOW + 5)
})

test('a certificate that was taken away may be had again, but not in a circle', () => {
  const had = progress({ state: 'issued', next_at: NOW + 60 * DAY })
  assert.is(dueAt(domain({ bound: 'automatic', progress: had })), NOW + 60 * DAY)
  assert.is(dueAt(domain({ progress: had })), NOW - 5 + limits.acmAgain)
})

test('of those that are due one has its turn whose app was served the longest ago', () => {
  const of = (app_id: string, next_at: number) => domain({ app_id, progress: progress({ next_at }) })
  const crowd = Array.from({ length: 50 }, (_, index) => of('crowd', NOW - 1000 + index))
  const other = of('other', NOW - 1)
  const turn = (served: [string, number][], domains: Managed[] = [...crowd, other]) =>
    nextTurn(domains, NOW, new Map(served))
  const whose = (served: [string, number][]) => {
    const next = turn(served)
    return next && 'domain' in next ? next.domain : undefined
  }
  assert.is(whose([]), crowd[0], 'whoever has waited the longest')
  assert.is(whose([['crowd', NOW - 10]]), other)
  assert.is(
    whose([
      ['crowd', NOW - 10],
      ['other', NOW - 20],
    ]),
    other,
  )
  assert.is(
    whose([
      ['crowd', NOW - 20],
      ['other', NOW - 10],
    ]),
    crowd[0],
  )
})

test('when nobody is due it is told when somebody will be', () => {
  const later = [domain({ progress: progress({ next_at: NOW + 9 }) }), domain({ progress: progress() })]
  assert.equal(nextTurn(later, NOW, new Map()), { at: NOW + 5 })
  assert.is(nextTurn([domain({ bound: 'manual' }), domain({ hostname: '*.example.com' })], NOW, new Map()), null)
})

test('it is renewed when a third of its life is left, and never in a circle', () => {
  const life = { starts_at: NOW, expires_at: NOW + 90 * DAY }
  assert.equal(issued(life, NOW, 0), { state: 'issued', reason: null, failures: 0, next_at: NOW + 60 * DAY })
  assert.is(issued(life, NOW + 80 * DAY, 0).next_at, NOW + 80 * DAY + limits.acmAgain)
})

test('what was ordered together is renewed over half a day, and of a short life over a part', () => {
  const life = (days: number) => ({ starts_at: NOW, expires_at: NOW + days * DAY })
  assert.is(issued(life(90), NOW, 1).next_at, NOW + 60 * DAY + limits.acmeSpread)
  assert.is(issued(life(1), NOW, 1).next_at, NOW + Math.floor((DAY * 5) / 6))
})

test('a refusal for how much we ask says nothing against a domain; how long we wait is the authority’s to say, within reason', () => {
  const limited = (retryAfter?: number) =>
    limitedUntil(new Problem('authority', 'no', { type: 'rateLimited', retryAfter }), NOW)
  assert.is(limited(), NOW + limits.acmeLimited)
  assert.is(limited(3 * DAY), NOW + 3 * DAY)
  assert.is(limited(100 * DAY), NOW + 7 * DAY)
  assert.is(limited(0), NOW + MINUTE)
  assert.is(limitedUntil(no('authority', 120 * MINUTE), NOW), NOW + 120 * MINUTE, 'one that is busy')
  assert.is(limitedUntil(no('authority'), NOW), null)
  assert.is(limitedUntil(no('name', MINUTE), NOW), null)
})

test('nobody has his turn before there is room for him', () => {
  const [one, other] = [domain({ created_at: NOW - 2 }), domain({ hostname: 'b.example', created_at: NOW - 1 })]
  const turn = nextTurn([one, other], NOW, new Map(), (some) => (some === one ? NOW + DAY : 0))
  assert.is(turn && 'domain' in turn && turn.domain, other)
  assert.equal(
    nextTurn([one], NOW, new Map(), () => NOW + DAY),
    { at: NOW + DAY },
  )
})

test('the pauses between failures grow, so that an authority sees at most five an hour; the fifth no is a failure', () => {
  let [failures, at] = [0, NOW]
  const seen: string[] = []
  for (let n = 0; n < 7; n++) {
    const next = failed(failures, no('name'), at)
    seen.push(`${next.state} ${(next.next_at - at) / MINUTE}`)
    assert.is(next.failures, failures + 1)
    failures = next.failures
    at = next.next_at
  }
  assert.equal(seen, [
    'failing 1',
    'failing 5',
    'failing 15',
    'failing 60',
    'failed 1440',
    'failed 1440',
    'failed 1440',
  ])
})

test('an authority that is away says nothing against the domain, and its wish to wait is respected within reason', () => {
  assert.equal(failed(20, no('authority'), NOW), {
    ...{ state: 'failing', reason: 'no', failures: 21, next_at: NOW + DAY },
  })
  assert.is(failed(0, no('authority', 3 * 60 * MINUTE), NOW).next_at, NOW + 180 * MINUTE)
  assert.is(failed(0, no('authority', 10_000 * DAY), NOW).next_at, NOW + 7 * DAY)
})

test('a refresh brings the next try forward, but not closer to the last one than an authority would take', () => {
  assert.is(refreshed(progress({ next_at: NOW + DAY, updated_at: NOW - DAY }), NOW), NOW)
  assert.is(refreshed(progress({ next_at: NOW + DAY, updated_at: NOW - MINUTE }), NOW), NOW + 11 * MINUTE)
  assert.is(refreshed(progress({ next_at: NOW + MINUTE, updated_at: NOW }), NOW), NOW + MINUTE)
})

test('the status is told in Heroku’s words', () => {
  const said = (change: Partial<Managed>) => statusOf(domain(change)).status
  assert.is(said({}), 'pending')
  for (const [state, word] of [
    ...([
      ['pending', 'pending'],
      ['verifying', 'pending'],
      ['verified', 'verified'],
    ] as const),
    ...([
      ['issued', 'cert issued'],
      ['failing', 'failing'],
      ['failed', 'failed'],
    ] as const),
  ] as const)
    assert.is(said({ progress: progress({ state }) }), word)
  assert.is(statusOf(domain({ progress: progress() })).reason, 'why')
  assert.is(said({ bound: 'manual' }), 'cert issued')
  assert.is(said({ hostname: '*.example.com' }), 'failed')
})

test.run()
