import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Backlog } from '../../router/backlog.ts'

/** Waiters that write down when they are let go on, and a backlog whose pauses are short. */
function setUp() {
  const tries: string[] = []
  let heard = () => {}
  const waiter = (name: string) => ({
    retry() {
      tries.push(name)
      heard()
    },
  })
  const backlog = new Backlog({ backlog: 10, holdPause: 1, holdPauseMost: 4 })
  const next = () =>
    new Promise<void>((resolve) => {
      heard = resolve
    })
  return { backlog, tries, next, a: waiter('a'), b: waiter('b'), c: waiter('c') }
}

test('while an app refuses, only the first one tries again; the others wait for what it finds', async () => {
  const { backlog, tries, next, a, b, c } = setUp()
  backlog.refused(a)
  for (const other of [b, c]) {
    assert.ok(backlog.holds(other))
    backlog.wait(other)
  }
  await next()
  assert.equal(tries, ['a'])
  assert.not(backlog.holds(a))
  assert.ok(backlog.holds(b))
  backlog.refused(a)
  await next()
  assert.equal(tries, ['a', 'a'], 'it keeps its place')
  backlog.reached(a)
  assert.equal(tries, ['a', 'a', 'b', 'c'], 'all go on in order of arrival')
  assert.not(backlog.holds(b))
})

test('when the one that tries goes away, the next one tries', async () => {
  const { backlog, tries, next, a, b } = setUp()
  backlog.refused(a)
  backlog.wait(b)
  await next()
  backlog.forget(a)
  await next()
  assert.equal(tries, ['a', 'b'])
  backlog.forget(b)
  assert.equal([backlog.held, backlog.waiting], [false, 0], 'with nobody left whoever comes may try')
})

test('one that had been on its way before, and gets through, lets all go on', () => {
  const { backlog, tries, a, b } = setUp()
  backlog.refused(a)
  backlog.reached(b)
  assert.equal([tries, backlog.held], [['a'], false])
  backlog.forget(a)
})

test('whoever waits looks again when a table says something else of the app, and only then', () => {
  const { backlog, tries, a } = setUp()
  const [one, other] = [{}, {}]
  const route = { hosts: ['x'], maintenance: false, empty: 'starting' as const, backends: [] }
  backlog.follow(route, [one])
  backlog.wait(a)
  backlog.follow({ ...route, hosts: ['x'] }, [one])
  assert.equal(tries, [])
  const changes = [{ maintenance: true }, { empty: 'none' as const }, { hold: 5 }, { hosts: ['x', 'y'] }]
  for (const [n, change] of changes.entries()) {
    backlog.follow({ ...route, ...change }, [one])
    backlog.follow({ ...route, ...change }, [one])
    assert.is(tries.length, 2 * n + 1, JSON.stringify(change))
    backlog.follow(route, [one])
  }
  const before = tries.length
  backlog.follow(route, [one, other])
  backlog.follow(route, [other, one])
  assert.is(tries.length, before + 2)
  backlog.forget(a)
})

test('those that wait are counted over all apps', () => {
  const all = { waiting: 0 }
  const bounds = { backlog: 10, holdPause: 60_000, holdPauseMost: 60_000 }
  const [first, second] = [new Backlog(bounds, all), new Backlog(bounds, all)]
  const waiters = Array.from({ length: 3 }, () => ({ retry() {} }))
  const [a = { retry() {} }, b = a, c = a] = waiters
  first.wait(a)
  first.refused(a)
  second.wait(b)
  second.wait(c)
  assert.equal([all.waiting, first.waiting, second.waiting], [3, 1, 2])
  second.reached(b)
  second.forget(b)
  first.forget(a)
  assert.equal([all.waiting, first.waiting, second.waiting], [1, 0, 1])
})

test('other backends let all go on at once', () => {
  const { backlog, tries, a, b, c } = setUp()
  backlog.refused(b)
  backlog.wait(a)
  backlog.wait(c)
  backlog.open()
  assert.equal(tries, ['b', 'a', 'c'])
  for (const waiter of [a, b, c]) backlog.forget(waiter)
})

test.run()
