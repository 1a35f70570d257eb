import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createAttempts, networkOf } from '../../daemon/account/attempt.ts'
import { createBuckets } from '../../daemon/account/bucket.ts'
import type { Clock } from '../../daemon/clock.ts'
import { UserError } from '../../daemon/errors.ts'
import { limits } from '../../daemon/limits.ts'

let now = 1_000_000
const clock: Clock = { now: () => now, at: () => () => {} }

test('a bucket gives what it holds, then tells how long until there is one again', () => {
  const buckets = createBuckets(clock, { size: 3, every: 1000, most: 10 })
  assert.equal(
    [1, 2, 3].map(() => buckets.take('a')),
    [0, 0, 0],
  )
  assert.is(buckets.take('a'), 1000)
  now += 400
  assert.is(buckets.take('a'), 600)
  assert.is(buckets.left('a'), 0)
  now += 600
  assert.is(buckets.left('a'), 1)
  assert.is(buckets.take('a'), 0)
  assert.is(buckets.take('b'), 0)
})

test('a bucket holds no more than its size, however long it rests or is given back to', () => {
  const buckets = createBuckets(clock, { size: 2, every: 10, most: 10 })
  buckets.take('a')
  now += 1_000_000
  buckets.give('a')
  assert.is(buckets.left('a'), 2)
})

test('of many keys the one that rested longest is forgotten first, and full ones at once', () => {
  const buckets = createBuckets(clock, { size: 2, every: 1_000_000, most: 2 })
  for (const key of ['a', 'b', 'c']) buckets.take(key)
  assert.equal(
    ['a', 'b', 'c'].map((key) => buckets.left(key)),
    [2, 1, 1],
  )
})

const tries = (attempts: ReturnType<typeof createAttempts>, login: { email: string; from: string }): string => {
  try {
    attempts.begin(login)
    return 'tried'
  } catch (error) {
    return error instanceof UserError ? `${error.id} ${error.retryAfter}` : 'broke'
  }
}

test('one address that guesses is held up, and told for how long; others at the same account are not', () => {
  const attempts = createAttempts(clock)
  const mallory = { email: 'a@example.com', from: '203.0.113.9' }
  for (let i = 0; i < limits.loginsPerAddress.size; i++) assert.is(tries(attempts, mallory), 'tried')
  assert.is(tries(attempts, mallory), 'rate_limit 6')
  assert.is(tries(attempts, { ...mallory, from: '203.0.113.10' }), 'tried')
})

test('many addresses that guess at one account are held up together, and somebody gets through again soon', () => {
  const attempts = createAttempts(clock)
  let tried = 0
  for (let i = 0; i < 500; i++)
    if (tries(attempts, { email: 'A@example.com', from: `198.51.100.${i % 250}` }) === 'tried') tried++
  assert.is(tried, limits.loginsPerAccount.size)
  const owner = { email: 'a@example.com', from: '203.0.113.77' }
  assert.is(tries(attempts, owner), 'rate_limit 2')
  now += 2000
  assert.is(tries(attempts, owner), 'tried')
})

test('logins that succeed cost nothing', () => {
  const attempts = createAttempts(clock)
  for (let i = 0; i < 1000; i++) attempts.begin({ email: 'a@example.com', from: '203.0.113.1' }).takeBack()
  assert.is(tries(attempts, { email: 'a@example.com', from: '203.0.113.1' }), 'tried')
})

test('addresses of one IPv6 network are one', () => {
  assert.is(networkOf('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2')
  assert.is(networkOf('2001:db8:1:2::9'), '2001:db8:1:2')
  assert.is(networkOf('2001:db8::1'), networkOf('2001:db8:0:0:a::'))
  assert.is(networkOf('::ffff:203.0.113.9'), '::ffff:203.0.113.9')
  assert.is(networkOf('203.0.113.9'), '203.0.113.9')
})

test.run()
