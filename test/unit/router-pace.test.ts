import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { limits } from '../../router/limits.ts'
import { Pace } from '../../router/pace.ts'

const bounds = { ...limits, idle: 100, bodyProgress: 10 }

test('a body that grows by less than it must in an idle time is too slow', () => {
  const pace = new Pace()
  for (let now = 1; now <= 100; now++) assert.not(pace.isTooSlow(now, Math.floor(now / 20), bounds))
  assert.ok(pace.isTooSlow(101, 5, bounds))
})

test('one that grows by enough goes on, however unevenly', () => {
  const pace = new Pace()
  for (let now = 1; now < 1000; now++) assert.not(pace.isTooSlow(now, Math.floor(now / 90) * 10, bounds))
})

test('the time in which its receiver was slow does not count', () => {
  const pace = new Pace()
  assert.not(pace.isTooSlow(1, 0, bounds))
  assert.not(pace.isTooSlow(100, null, bounds))
  assert.not(pace.isTooSlow(150, 0, bounds))
  assert.not(pace.isTooSlow(249, 0, bounds))
  assert.ok(pace.isTooSlow(250, 0, bounds))
})

test.run()
