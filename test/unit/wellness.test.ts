import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Wellness } from '../../daemon/route/wellness.ts'
import type { Backend } from '../../router/protocol.ts'

/** What several routers find, as the daemon puts it together. */

interface Router {
  name: string
}

const watch = { path: '/', timeout: 5000, interval: 10_000, attempts: 3 }
/** By then a router has asked often enough. */
const KNOWN = 35_000

function setUp(dynos = 3) {
  let now = 1000
  const lines: string[] = []
  const app: { id: string; backends: Backend[] } = {
    id: 'app',
    backends: Array.from({ length: dynos }, (_, n) => ({
      ...{ id: `d${n + 1}`, dyno: `web.${n + 1}`, address: '192.0.2.1', port: 80, mode: 'serve' },
      checks: { host: 'a', readiness: watch, liveness: watch },
    })),
  }
  const wellness = new Wellness<Router>({
    now: () => now,
    app: (id) => (id === 'app' ? app : undefined),
    appOf: (id) => (app.backends.some((one) => one.id === id && one.mode === 'serve') ? app : undefined),
    tell: (_, dyno, text) => lines.push(`${dyno}: ${text}`),
  })
  const [one, two] = [{ name: 'one' }, { name: 'two' }]
  const say = (router: Router, backend: string, reason: string | null, check: 'readiness' | 'liveness' = 'readiness') =>
    wellness.hear(router, backend, { check, reason })
  return { wellness, app, lines, one, two, say, pass: (ms: number) => (now += ms) }
}

const ILL = 'GET /ready, it answered 503'
const FAILS = `Health check failed (readiness): ${ILL}`
const PASSES = 'Health check passes again (readiness)'
const PANIC = 'router: More than half of the web dynos fail their health check: all of them get requests until fewer do'
const CALM = 'router: Most web dynos pass their health check again: only those get requests'

test('the log tells once that a dyno fails, with what it answered, and once that it passes again', () => {
  const { wellness, lines, one, say } = setUp()
  wellness.learn(one, [])
  say(one, 'd1', ILL)
  say(one, 'd1', ILL)
  wellness.learn(one, [{ backend: 'd1', check: 'readiness', reason: ILL }])
  say(one, 'd1', null)
  say(one, 'd1', null)
  assert.equal(lines, [`web.1: ${FAILS}`, `web.1: ${PASSES}`])
})

test('of several routers the first that finds it is told, and the last that no longer does', () => {
  const { wellness, lines, one, two, say } = setUp()
  for (const router of [one, two]) wellness.learn(router, [])
  say(one, 'd1', ILL)
  say(two, 'd1', ILL)
  say(one, 'd1', null)
  assert.equal(lines, [`web.1: ${FAILS}`])
  say(two, 'd1', null)
  assert.equal(lines.slice(1), [`web.1: ${PASSES}`])
})

test('a router that is lost, or has just started, is no reason to say anything; what it then finds is', () => {
  const { wellness, lines, one, two, say, pass } = setUp()
  wellness.learn(one, [])
  say(one, 'd1', ILL)
  wellness.gone(one)
  say(one, 'd1', null)
  wellness.learn(two, [])
  assert.equal(lines, [`web.1: ${FAILS}`])
  pass(KNOWN - 1)
  wellness.look()
  assert.is(lines.length, 1, 'it has not asked often enough')
  pass(1)
  wellness.look()
  assert.equal(lines.slice(1), [`web.1: ${PASSES}`])
})

test('a router that fails to find it for long enough, or says that it passes, leaves the word to the others', () => {
  const { wellness, lines, one, two, say, pass } = setUp()
  for (const router of [one, two]) wellness.learn(router, [])
  say(one, 'd1', ILL)
  say(one, 'd1', null)
  assert.equal(lines, [`web.1: ${FAILS}`], 'the other cannot know yet')
  pass(KNOWN)
  wellness.look()
  assert.equal(lines.slice(1), [`web.1: ${PASSES}`])
  say(one, 'd2', ILL)
  wellness.gone(one)
  assert.equal(lines.slice(2), [`web.2: ${FAILS}`, `web.2: ${PASSES}`])
})

test('a panic outlasts the restart of the router that found it', () => {
  const { wellness, app, lines, one, two, say } = setUp(1)
  wellness.learn(one, [])
  say(one, 'd1', ILL)
  wellness.gone(one)
  wellness.learn(two, [])
  assert.ok(wellness.panics(app))
  say(two, 'd1', null)
  assert.equal(lines, [`web.1: ${FAILS}`, PANIC, `web.1: ${PASSES}`, CALM])
})

test('what a router tells anew changes only what has changed', () => {
  const { wellness, one, say } = setUp()
  assert.equal(wellness.learn(one, []), [])
  say(one, 'd1', ILL)
  const failing = [{ backend: 'd1', check: 'readiness' as const, reason: ILL }]
  assert.equal(wellness.learn(one, failing), [])
  assert.equal(wellness.learn(one, [...failing, { ...failing[0], backend: 'd2' } as (typeof failing)[0]]), ['d2'])
  assert.equal(wellness.learn(one, []), ['d1', 'd2'])
})

test('panic and its end are told once, and end also when others serve', () => {
  const { wellness, app, lines, one, say } = setUp()
  wellness.learn(one, [])
  say(one, 'd1', ILL)
  assert.not(wellness.panics(app))
  say(one, 'd2', ILL)
  say(one, 'd3', ILL)
  assert.ok(wellness.panics(app))
  say(one, 'd3', null)
  say(one, 'd2', null)
  assert.equal(
    lines.filter((line) => line.startsWith('router')),
    [PANIC, CALM],
  )
  for (const id of ['d2', 'd3']) say(one, id, ILL)
  lines.splice(0)
  for (const backend of app.backends) backend.mode = 'drain'
  app.backends.push({ ...(app.backends[0] as Backend), id: 'new', mode: 'serve' })
  wellness.follow()
  assert.equal(lines, [CALM], 'nothing is said of those that went')
})

test('an app that has gone in a panic is forgotten', () => {
  const { wellness, app, lines, one, say } = setUp(1)
  wellness.learn(one, [])
  say(one, 'd1', ILL)
  lines.splice(0)
  app.backends = []
  wellness.follow()
  assert.equal(lines, [CALM])
})

test('a dyno is dead when all live routers find its liveness check failing, since the last of them did', () => {
  const { wellness, one, two, say, pass } = setUp()
  wellness.learn(one, [])
  say(one, 'd1', 'dead', 'liveness')
  say(one, 'd2', ILL)
  assert.is(wellness.dead('d1', [one])?.since, 1000)
  assert.is(wellness.dead('d2', [one]), null)
  assert.is(wellness.dead('d1', [one, two]), null, 'the other has not told anything yet')
  wellness.learn(two, [])
  assert.is(wellness.dead('d1', [one, two]), null)
  pass(5000)
  say(two, 'd1', 'dead', 'liveness')
  pass(5000)
  wellness.learn(two, [{ backend: 'd1', check: 'liveness', reason: 'dead' }])
  assert.is(wellness.dead('d1', [one, two])?.since, 6000)
  assert.is(wellness.dead('d1', [one, two])?.spread, 15_000)
  assert.is(wellness.dead('d1', []), null)
})

test('when a shared cause ends, who has not been asked since is given the time to be', () => {
  const { wellness, one, say, pass } = setUp(2)
  wellness.learn(one, [])
  for (const id of ['d1', 'd2']) say(one, id, 'dead', 'liveness')
  pass(60_000)
  say(one, 'd1', null, 'liveness')
  assert.is(wellness.dead('d2', [one])?.since, 61_000)
})

test('a reason is bounded and without what a terminal would obey; who does not serve is passed over', () => {
  const { wellness, app, lines, one, say } = setUp()
  wellness.learn(one, [])
  say(one, 'd1', `\x1b[2J${'x'.repeat(500)}`)
  assert.is(lines[0], `web.1: Health check failed (readiness): ?[2J${'x'.repeat(196)}`)
  say(one, 'nobody', ILL)
  Object.assign(app.backends[1] as Backend, { mode: 'probe' })
  say(one, 'd2', ILL)
  wellness.learn(one, [{ backend: 'd2', check: 'liveness', reason: ILL }])
  assert.is(lines.filter((line) => line.includes(ILL)).length, 0)
})

test.run()
