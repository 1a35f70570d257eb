import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Account, type Holder, roomIn } from '../../daemon/run/memory.ts'

const MiB = 1024 ** 2
const GiB = 1024 * MiB
const RESERVE = 256 * MiB
const NOW = 1_000_000

const dyno = (given: Partial<Holder> = {}): Holder => ({
  ...{ id: 'd', app: 'demo', type: 'web', memory: 512 * MiB, used: null, state: 'up', since: NOW - 60_000 },
  ...given,
})
const slots = (quantity: number, app = 'demo') => ({ app, type: 'web', memory: 512 * MiB, quantity })

/** What is left on a machine with 4 GiB free, or whose dynos may have `bound`; in MiB, beyond the reserve. */
const left = (account: Partial<Account>, bound?: number) => {
  const whole = { resting: 0, promised: [], dynos: [], builds: [], ...account }
  const free = { bound: undefined, available: 4 * GiB + RESERVE }
  const room = roomIn(whole, bound === undefined ? free : { bound, available: 1024 * GiB }, NOW)
  return [room.now / MiB, room.soon / MiB]
}

test('dynos that have come to rest leave what they do not use to others, but for a bound', () => {
  const account = { resting: 512 * MiB, promised: [slots(1)], dynos: [dyno()] }
  assert.equal(left(account), [4096, 4096])
  assert.equal(left(account, 2 * GiB), [1024, 1024])
})

test('a dyno that starts is expected to take all of its size, and less in its first minute up, evenly', () => {
  assert.equal(left({ dynos: [dyno({ state: 'starting' })] }), [3584, 4096])
  assert.equal(left({ dynos: [dyno({ since: NOW })] }), [3584, 4096])
  assert.equal(left({ dynos: [dyno({ since: NOW - 15_000 })] }), [3712, 4096])
  assert.equal(left({ dynos: [dyno({ since: NOW + 9_000_000 })] }), [3584, 4096], 'the clock was set back')
})

test('what a dyno is measured to use is no longer expected', () => {
  assert.equal(left({ dynos: [dyno({ state: 'starting', used: 500 * MiB })] }), [4084, 4096])
  assert.equal(left({ dynos: [dyno({ state: 'starting', used: 600 * MiB })] }), [4096, 4096])
})

test('a slot without a dyno is expected to get one, one that has crashed is not expected to grow', () => {
  assert.equal(left({ promised: [slots(2)] }), [3072, 3072])
  assert.equal(left({ promised: [slots(2)], dynos: [dyno(), dyno({ state: 'crashed' })] }), [4096, 4096])
})

test('a build counts with all that it may take', () => {
  assert.equal(left({ builds: [2 * GiB, 512 * MiB] }), [1536, 1536])
  assert.equal(left({ builds: [2 * GiB] }, 3 * GiB), [1024, 1024])
})

test('what is on its way out will give back what it uses, its size when nobody knows', () => {
  assert.equal(left({ dynos: [dyno({ state: 'draining', used: 40 * MiB })] }), [4096, 4136])
  assert.equal(left({ dynos: [dyno({ state: 'stopping' })] }), [4096, 4608])
})

test('with a bound sizes count, those of dynos or of the slots that they were promised, whichever are more', () => {
  assert.equal(left({ promised: [slots(3)], dynos: [dyno(), dyno(), dyno({ state: 'crashed' })] }, 2 * GiB), [512, 512])
  const two = [dyno(), dyno(), dyno({ state: 'starting' }), dyno({ state: 'starting' })]
  assert.equal(left({ promised: [slots(2)], dynos: two }, 2 * GiB), [0, 0], 'two releases side by side')
  const oneOff = dyno({ type: '', state: 'starting' })
  assert.equal(left({ promised: [slots(1)], dynos: [oneOff] }, 2 * GiB), [1024, 1024])
})

test('a dyno that makes way for one of its own app leaves no room for others', () => {
  const batch = [dyno(), dyno({ state: 'draining' })]
  assert.equal(left({ promised: [slots(2)], dynos: batch }, 1 * GiB), [0, 0])
  const beyond = [dyno(), dyno(), dyno({ state: 'draining' })]
  assert.equal(left({ promised: [slots(2)], dynos: beyond }, 2 * GiB), [512, 1024])
})

test('a size that was promised although there was no room for it leaves less than nothing', () => {
  assert.equal(left({ promised: [slots(3)] }, 1 * GiB), [-512, -512])
})

test.run()
