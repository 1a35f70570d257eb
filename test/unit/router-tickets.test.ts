import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Allowance } from '../../router/allowance.ts'
import { freshKeys, ROTATION, rotated } from '../../router/tickets.ts'

test('ticket keys rotate after a day; the one before is kept for one more, and no longer', () => {
  const first = freshKeys(0)
  assert.is(first.current.length, 48)
  assert.is(rotated(first, ROTATION - 1), first)
  const second = rotated(first, ROTATION)
  assert.not.equal(second.current, first.current)
  assert.is(second.previous, first.current)
  assert.is(second.since, ROTATION)
  const third = rotated(second, 2 * ROTATION)
  assert.is(third.previous, second.current)
  // nothing is kept over a night that the machine has slept through
  assert.is(rotated(third, 4 * ROTATION).previous, null)
})

test('an allowance: so many at once, then so many a second, never more than at first', () => {
  const allowance = new Allowance(3, 2, 0)
  const take = (times: number, now: number): number =>
    Array.from({ length: times }, () => allowance.take(now)).filter(Boolean).length
  assert.is(take(5, 0), 3)
  assert.is(take(5, 499), 0)
  assert.is(take(5, 500), 1)
  assert.is(take(5, 1500), 2)
  assert.is(take(9, 1_000_000), 3)
})

test.run()
