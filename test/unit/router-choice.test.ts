import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Candidate, eligible, lessBusy } from '../../router/choice.ts'
import { Quarantine } from '../../router/quarantine.ts'

interface Named extends Candidate {
  name: string
}

const NOW = 1000
const backend = (name: string, size = 0, until = 0): Named => ({
  ...{ name, users: { size }, quarantine: { until }, unwell: false },
})
const ill = (name: string): Named => ({ ...backend(name), unwell: true })
const out = (name: string) => backend(name, 0, NOW + 1)

const names = (serving: Named[], by: { tried?: Named[]; most?: number } = {}) =>
  eligible(serving, { tried: [], most: 10, now: NOW, ...by }).map(({ name }) => name)

/** A generator that always says the same (https://en.wikipedia.org/wiki/Linear_congruential_generator). */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

test('who is in quarantine gets nothing while at most half of the app is', () => {
  assert.equal(names([backend('a'), out('b')]), ['a'])
  assert.equal(names([backend('a'), backend('b'), out('c'), out('d')]), ['a', 'b'])
  assert.equal(names([backend('a'), backend('b', 0, NOW)]), ['a', 'b'])
})

test('panic: when more than half of an app is in quarantine, all of it is used', () => {
  assert.equal(names([backend('a'), out('b'), out('c')]), ['a', 'b', 'c'])
  assert.equal(names([out('a')]), ['a'])
})

test('who fails a check gets nothing while at most half of the app is out, and is the last resort', () => {
  const [a, b] = [backend('a'), ill('b')]
  assert.equal(names([a, b]), ['a'])
  assert.equal(names([a, b], { tried: [a] }), ['b'])
  assert.equal(names([backend('a'), backend('c'), ill('b'), out('d')]), ['a', 'c'])
})

test('panic: when checks of more than half of an app fail, all of it is used; quarantine counts with them', () => {
  assert.equal(names([ill('a'), ill('b')]), ['a', 'b'])
  assert.equal(names([ill('a')]), ['a'])
  assert.equal(names([backend('a'), ill('b'), out('c')]), ['a', 'b', 'c'])
})

test('a backend that has all that it may have, or that was tried, gets nothing, panic or not', () => {
  assert.equal(names([backend('a', 10), backend('b', 9)]), ['b'])
  assert.equal(names([backend('a', 10)]), [])
  const [a, b, c] = [out('a'), out('b'), backend('c', 10)]
  assert.equal(names([a, b, c], { tried: [a] }), ['b'])
})

test('who has tried all others may try those in quarantine', () => {
  const [a, b] = [backend('a'), out('b')]
  assert.equal(names([a, b], { tried: [a] }), ['b'])
})

test('of two random backends the less busy one is chosen; all are equally likely when all are equally busy', () => {
  const random = seeded(1)
  const four = ['a', 'b', 'c', 'd'].map((name) => backend(name, 3))
  const times = new Map<string, number>()
  for (let n = 0; n < 40_000; n++) {
    const { name } = lessBusy(four, random) as Named
    times.set(name, (times.get(name) ?? 0) + 1)
  }
  for (const { name } of four) assert.ok(Math.abs((times.get(name) ?? 0) - 10_000) < 500, `${name} ${times.get(name)}`)
  for (let n = 0; n < 100; n++) assert.is(lessBusy([backend('a', 5), backend('b', 4)], random)?.name, 'b')
  assert.is(lessBusy([backend('a')], random)?.name, 'a')
  assert.is(lessBusy([], random), undefined)
})

test('two choices keep the busiest of fifty backends within a few requests of the mean, where one would not', () => {
  const busiest = (choices: (loads: Candidate[]) => number) => {
    const loads = Array.from({ length: 50 }, () => ({ users: { size: 0 }, quarantine: { until: 0 }, unwell: false }))
    for (let n = 0; n < 50 * 100; n++) {
      const chosen = loads[choices(loads)]
      if (chosen !== undefined) chosen.users.size++
    }
    return Math.max(...loads.map(({ users }) => users.size))
  }
  const random = seeded(7)
  const one = busiest((loads) => Math.floor(random() * loads.length))
  const two = busiest((loads) => loads.indexOf(lessBusy(loads, random) as (typeof loads)[number]))
  assert.ok(two <= 105, `two choices: ${two}`)
  assert.ok(one > 115, `one choice: ${one}`)
})

const bounds = { quarantine: 5000, quarantineFirst: 1000, breaks: 3 }

test('a backend that refuses is out for a second, then twice as long each time, up to five', () => {
  const quarantine = new Quarantine(bounds)
  const times: number[] = []
  for (let n = 0, now = 0; n < 5; n++) {
    quarantine.refused(now)
    times.push(quarantine.until - now)
    quarantine.refused(now)
    now = quarantine.until
  }
  assert.equal(times, [1000, 2000, 4000, 5000, 5000])
  quarantine.answered()
  quarantine.refused(quarantine.until)
  assert.is(quarantine.until, 17_000 + 1000)
})

test('one that accepts nobody in all the time there is, is out for five seconds at once', () => {
  const quarantine = new Quarantine(bounds)
  quarantine.timedOut(100)
  assert.is(quarantine.until, 5100)
})

test('one that breaks off some in a row is out; an answer between them starts the count anew', () => {
  const quarantine = new Quarantine(bounds)
  for (const end of ['broke', 'broke', 'answered', 'broke', 'broke'] as const) quarantine[end](0)
  assert.is(quarantine.until, 0)
  quarantine.broke(0)
  assert.is(quarantine.until, 1000)
})

test.run()
