import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Account } from '../../daemon/account/account.ts'
import { createBrowserLogins } from '../../daemon/account/browser-login.ts'
import type { Clock } from '../../daemon/clock.ts'
import { limits } from '../../daemon/limits.ts'

/** Time that passes when it is told to. */
function handClock(): Clock & { pass(ms: number): void } {
  let now = 0
  const alarms = new Map<() => void, number>()
  return {
    now: () => now,
    at(at, wake) {
      alarms.set(wake, at)
      return () => alarms.delete(wake)
    },
    pass(ms) {
      now += ms
      for (const [wake, at] of [...alarms]) if (at <= now) wake()
    },
  }
}

const account = { id: 'a', email: 'a@example.com' } as Account
const here = new AbortController().signal
const asked = (n: number) => ({ description: 'CLI', from: `203.0.113.${n}` })

test('a login that nobody decides ends after ten minutes, for the browser and for whoever waits', async () => {
  const clock = handClock()
  const logins = createBrowserLogins(clock)
  const { id, secret } = logins.begin(asked(1))
  const decision = logins.collect(id, secret, here)
  clock.pass(limits.browserLogin - 1)
  assert.is(logins.waiting(id).from, '203.0.113.1')
  clock.pass(1)
  assert.is(await decision, 'expired')
  assert.throws(() => logins.waiting(id), /Couldn't find that login/)
  assert.throws(() => logins.approve(id, account, 0), /Couldn't find that login/)
})

test('a decision is made once and collected once, also by two who wait', async () => {
  const logins = createBrowserLogins(handClock())
  const { id, secret } = logins.begin(asked(1))
  const both = [logins.collect(id, secret, here), logins.collect(id, secret, here)]
  logins.approve(id, account, 0)
  assert.throws(() => logins.refuse(id), /Couldn't find that login/)
  assert.equal(await Promise.all(both), [{ account, provenAt: 0, asked: asked(1) }, 'expired'])
  assert.throws(() => logins.collect(id, secret, here), /Couldn't find that login/)
})

test('a decision waits for its client, for as long as the login does', async () => {
  const clock = handClock()
  const logins = createBrowserLogins(clock)
  const { id, secret } = logins.begin(asked(1))
  logins.approve(id, account, 0)
  clock.pass(limits.browserLogin - 1)
  assert.equal(await logins.collect(id, secret, here), { account, provenAt: 0, asked: asked(1) })
  const late = logins.begin(asked(1))
  logins.approve(late.id, account, 0)
  clock.pass(limits.browserLogin)
  assert.throws(() => logins.collect(late.id, late.secret, here), /Couldn't find that login/)
})

test('logins are bounded by address and altogether, and make room when they end', () => {
  const clock = handClock()
  const logins = createBrowserLogins(clock)
  for (let i = 0; i < limits.browserLoginsPerAddress; i++) logins.begin(asked(1))
  assert.throws(() => logins.begin(asked(1)), /Too many logins/)
  for (let i = limits.browserLoginsPerAddress; i < limits.browserLogins; i++) logins.begin(asked(2 + (i % 200)))
  assert.throws(() => logins.begin(asked(250)), /Too many logins/)
  clock.pass(limits.browserLogin)
  logins.begin(asked(1))
})

test('when the daemon stops, nobody is left waiting', async () => {
  const logins = createBrowserLogins(handClock())
  const { id, secret } = logins.begin(asked(1))
  const decision = logins.collect(id, secret, here)
  logins.close()
  assert.is(await decision, 'expired')
})

test.run()
