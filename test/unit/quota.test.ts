import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createQuota } from '../../daemon/run/quota.ts'
import { createStillClock } from './still-clock.ts'

const SECOND = 1000

function open() {
  const clock = createStillClock()
  const told: [string, number][] = []
  const quota = createQuota(clock, (dyno) => told.push([dyno, clock.now()]))
  return { clock, told, quota }
}

test('a dyno that lives on is told five seconds after, once', () => {
  const { clock, told, quota } = open()
  quota.exceeded('a')
  quota.exceeded('a')
  clock.pass(60 * SECOND)
  assert.equal(told, [['a', 5 * SECOND]])
})

test('one in which the kernel kills on and on is told every twenty seconds, and no more when that is over', () => {
  const { clock, told, quota } = open()
  for (let second = 0; second < 60; second++) {
    quota.exceeded('a')
    clock.pass(SECOND)
  }
  clock.pass(60 * SECOND)
  assert.equal(
    told.map(([, at]) => at / SECOND),
    [5, 25, 45, 65],
  )
  quota.exceeded('a')
  clock.pass(5 * SECOND)
  assert.is(told.length, 5)
})

test('one that ends is told by its end; the others are told each for itself', () => {
  const { clock, told, quota } = open()
  quota.exceeded('a')
  quota.exceeded('b')
  quota.ended('a')
  quota.ended('c')
  clock.pass(60 * SECOND)
  assert.equal(told, [['b', 5 * SECOND]])
})

test.run()
