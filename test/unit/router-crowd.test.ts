import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { lend, shared } from '../../router/block.ts'
import { now } from '../../router/clock.ts'
import { Crowd } from '../../router/crowd.ts'

const member = (name: string) => ({ name, seat: -1 })

test('members come and go in any order, each once', () => {
  const crowd = new Crowd<ReturnType<typeof member>>()
  const [a, b, c] = [member('a'), member('b'), member('c')]
  for (const one of [a, b, c, a]) crowd.add(one)
  assert.is(crowd.size, 3)
  assert.is(crowd.delete(a), true)
  assert.is(crowd.delete(a), false)
  assert.equal(new Set(crowd.list()), new Set([b, c]))
  crowd.add(a)
  for (const one of [c, b, a]) assert.is(crowd.delete(one), true)
  assert.is(crowd.size, 0)
})

test('one that has moved to another crowd is not taken out by the first', () => {
  const [first, second] = [new Crowd<ReturnType<typeof member>>(), new Crowd<ReturnType<typeof member>>()]
  const [a, b] = [member('a'), member('b')]
  first.add(a)
  first.delete(a)
  second.add(a)
  first.add(b)
  assert.is(first.delete(a), false)
  assert.equal([first.size, second.size], [1, 1])
})

test('time stands while a chunk is handed on, and goes on behind it, also when that fails', () => {
  const wait = () => {
    for (const began = Date.now(); Date.now() < began + 3; );
  }
  const data = () => {
    const before = now()
    wait()
    assert.is(now(), before)
    throw new Error('over')
  }
  assert.throws(() => lend(shared, 1, { data }), 'over')
  const before = now()
  wait()
  assert.ok(now() > before)
})

test.run()
