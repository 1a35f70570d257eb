import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { keptSlugs, type Use } from '../../daemon/build/slug/kept.ts'
import type { RolloutState } from '../../daemon/store/schema.ts'

/** Slug by slug, in the order of their releases: `a` is v1. */
const uses = (...all: [slug: string, state?: RolloutState, runs?: boolean][]): Use[] =>
  all.map(([slug, state = 'succeeded', runs = false], n) => ({ slug, version: n + 1, state, runs }))
const kept = (all: Use[], rollbacks: number) => Object.fromEntries(keptSlugs(all, rollbacks))

test('the newest slugs that succeeded are kept, as many as one may roll back to, and the one that serves is among them', () => {
  assert.equal(kept(uses(['a'], ['b'], ['c'], ['d']), 2), { d: 'serves', c: 'rollback' })
  assert.equal(kept(uses(['a'], ['b']), 10), { a: 'rollback', b: 'serves' })
  assert.equal(kept([], 10), {})
})

test('slugs are counted, not releases: changes of config vars take no code away', () => {
  const changes = Array.from({ length: 30 }, (): ['b'] => ['b'])
  assert.equal(kept(uses(['a'], ...changes), 2), { b: 'serves', a: 'rollback' })
})

test('a rollback counts as the release that it is: what it brought back is new', () => {
  assert.equal(kept(uses(['a'], ['b'], ['c'], ['a']), 2), { a: 'serves', c: 'rollback' })
})

test('what is on its way, what any dyno runs and the newest release are kept, whatever became of them; other failed ones are not', () => {
  const all = uses(
    ['a', 'succeeded', true],
    ['b', 'failed'],
    ['c'],
    ['d', 'booting'],
    ['e', 'waiting'],
    ['f', 'failed'],
  )
  assert.equal(kept(all, 1), {
    a: 'a dyno runs it',
    c: 'serves',
    d: 'on its way',
    e: 'on its way',
    f: 'newest',
  })
})

test('an app whose releases all failed keeps the newest, for the next try', () => {
  assert.equal(kept(uses(['a', 'failed'], ['b', 'failed']), 10), { b: 'newest' })
})

test('in whatever order rows come, with whatever releases, nothing that is needed goes and no more is kept than said', () => {
  const states: RolloutState[] = ['succeeded', 'failed', 'waiting', 'cutover']
  for (let seed = 1; seed <= 2000; seed++) {
    let last = seed
    const random = (n: number): number => {
      last = (last * 48271) % 2147483647
      return last % n
    }
    const all = Array.from(
      { length: random(12) },
      (_, n): Use => ({
        slug: `s${random(6)}`,
        version: n + 1,
        state: states[random(4)] ?? 'failed',
        runs: random(5) === 0,
      }),
    )
    const rollbacks = 1 + random(4)
    const found = keptSlugs(
      all.toSorted(() => random(3) - 1),
      rollbacks,
    )
    const needed = all.filter(({ state, runs }) => runs || state === 'waiting' || state === 'cutover')
    const succeeded = all.filter(({ state }) => state === 'succeeded').toReversed()
    for (const { slug } of [...needed, ...succeeded.slice(0, rollbacks), ...all.slice(-1)]) assert.ok(found.has(slug))
    const most = new Set([...needed, ...all.slice(-1)].map(({ slug }) => slug)).size + rollbacks
    assert.ok(found.size <= most, `seed ${seed}: ${found.size} are kept`)
  }
})

test.run()
