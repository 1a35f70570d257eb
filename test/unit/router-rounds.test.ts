import { setImmediate } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Checks, Watch } from '../../router/check.ts'
import type { Backend, Table } from '../../router/protocol.ts'
import { Pulse } from '../../router/pulse.ts'
import { Rounds } from '../../router/rounds.ts'

/** Checks of dynos that serve, by a clock that stands until it is moved. */

const watch: Watch = { path: '/ready', timeout: 5000, interval: 10_000, attempts: 3 }
const host = 'demo.localhost'

const backend = (id: string, checks: Partial<Checks> = { readiness: watch }, more: Partial<Backend> = {}): Backend => ({
  ...{ id, dyno: 'web.1', address: '192.0.2.1', port: 80, mode: 'serve', checks: { host, ...checks } },
  ...more,
})
const tableOf = (...backends: Backend[]) => ({ version: 1, apps: [{ backends }], challenges: [] }) as unknown as Table

function setUp({ atOnce = 100, random = (): number => 0 } = {}) {
  let now = 0
  let timers: { at: number; what: () => void }[] = []
  /** Questions that nobody has answered yet. */
  const open: { path: string; port: number; answer(trouble: string | null): void }[] = []
  /** By path; undefined: the test answers. */
  const answers = new Map<string, string | null>()
  const told: string[] = []
  const asked: string[] = []
  const rounds = new Rounds(
    { checksAtOnce: atOnce },
    {
      wellness: (id, unwell) => told.push(`${id} ${unwell ? 'unwell' : 'well'}`),
      checked: (id, kind, reason) => told.push(`${id} ${kind} ${reason ?? 'passes'}`),
    },
    {
      random,
      now: () => now,
      after(ms, what) {
        const timer = { at: now + ms, what }
        timers.push(timer)
        return () => {
          timers = timers.filter((one) => one !== timer)
        }
      },
      ask: ({ port }, _, { path }) => {
        asked.push(`${now} ${port} ${path}`)
        const known = answers.get(path)
        if (known !== undefined) return Promise.resolve(known)
        return new Promise((answer) => open.push({ path, port, answer }))
      },
    },
  )
  /** Moves the clock, with a stop at whatever is due. */
  const pass = async (ms: number) => {
    const end = now + ms
    for (;;) {
      await setImmediate()
      const [next] = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
      if (next === undefined) break
      timers = timers.filter((one) => one !== next)
      now = Math.max(now, next.at)
      next.what()
    }
    now = end
  }
  return { rounds, told, asked, answers, open, pass, pending: () => timers.length }
}

test('a check fails after so many failures in a row and passes at the first good answer', () => {
  const pulse = new Pulse()
  const changes = ['a', 'b', null, 'c', 'd', 'e', 'f', null].map((trouble) => pulse.note(trouble, 3) && pulse.trouble)
  assert.equal(changes, [false, false, false, false, false, 'e', false, null])
})

test('a dyno that serves is asked at its interval; it is unwell after its attempts, told once, and well at the first answer', async () => {
  const { rounds, told, asked, answers, pass } = setUp()
  answers.set('/ready', 'ill')
  rounds.follow(tableOf(backend('a')))
  await pass(19_999)
  assert.equal(told, [])
  await pass(40_000)
  assert.equal(told.splice(0), ['a unwell', 'a readiness ill'])
  assert.equal(rounds.failing(), [{ backend: 'a', check: 'readiness', reason: 'ill' }])
  answers.set('/ready', null)
  await pass(10_000)
  assert.equal(told, ['a well', 'a readiness passes'])
  assert.equal(rounds.failing(), [])
  assert.equal(
    asked.map((one) => one.split(' ')[0]),
    ['0', '10000', '20000', '30000', '40000', '50000', '60000'],
  )
  assert.equal(rounds.asked, { passed: 1, failed: 6 })
})

test('one that fails one check of two stays unwell until both pass', async () => {
  const { rounds, told, answers, pass } = setUp()
  const liveness = { ...watch, path: '/live', attempts: 1 }
  answers.set('/ready', 'ill').set('/live', 'dead')
  rounds.follow(tableOf(backend('a', { readiness: watch, liveness })))
  await pass(20_000)
  answers.set('/ready', null)
  await pass(10_000)
  answers.set('/live', null)
  await pass(10_000)
  assert.equal(told, [
    ...['a unwell', 'a liveness dead', 'a readiness ill'],
    ...['a readiness passes', 'a well', 'a liveness passes'],
  ])
})

test('nobody is asked who does not serve, has only a check of its start, or has left the table', async () => {
  const { rounds, told, asked, answers, pass, pending } = setUp()
  const startup = { path: '/up', timeout: 5000 }
  const others = [
    backend('b', {}, { mode: 'probe' }),
    backend('c', undefined, { mode: 'drain' }),
    backend('d', { startup }),
  ]
  rounds.follow(tableOf(backend('a'), ...others))
  answers.set('/ready', 'ill')
  await pass(20_000)
  assert.is(asked.length, 3)
  rounds.follow(tableOf(backend('a', undefined, { mode: 'drain' })))
  await pass(60_000)
  assert.is(asked.length, 3)
  assert.is(pending(), 0)
  assert.equal(
    told,
    ['a unwell', 'a readiness ill', 'a well'],
    'workers forget that it was unwell; the log is told nothing',
  )
})

test('an answer that comes after its dyno has left changes nothing', async () => {
  const { rounds, told, open, pass, pending } = setUp()
  rounds.follow(tableOf(backend('a', { readiness: { ...watch, attempts: 1 } })))
  await pass(0)
  rounds.follow(tableOf())
  open[0]?.answer('ill')
  await pass(0)
  assert.equal(told, [])
  assert.is(pending(), 0)
})

test('a dyno keeps its state over tables; at another place it is another one', async () => {
  const { rounds, told, answers, pass } = setUp()
  answers.set('/ready', 'ill')
  rounds.follow(tableOf(backend('a')))
  await pass(15_000)
  rounds.follow(tableOf(backend('a'), backend('b')))
  await pass(5000)
  assert.equal(told.splice(0), ['a unwell', 'a readiness ill'])
  rounds.follow(tableOf(backend('a', undefined, { port: 81 })))
  assert.equal(told, ['a well'])
})

test('another host or interval of the same dyno counts from the next question on', async () => {
  const { rounds, asked, answers, pass } = setUp()
  answers.set('/ready', null)
  rounds.follow(tableOf(backend('a')))
  await pass(0)
  rounds.follow(tableOf(backend('a', { readiness: { ...watch, interval: 1000 } })))
  await pass(12_000)
  assert.is(asked.length, 4, '0, 10, 11 and 12 s')
})

test('first questions are spread over the interval, and so many are asked at once; the others wait for their turn', async () => {
  let seed = 0
  const { rounds, asked, open, pass } = setUp({ atOnce: 2, random: () => (seed += 0.1) })
  rounds.follow(tableOf(...[1, 2, 3, 4].map((port) => backend(`${port}`, undefined, { port }))))
  await pass(9000)
  assert.equal(asked, ['1000 1 /ready', '2000 2 /ready'])
  open[0]?.answer(null)
  await pass(0)
  assert.equal(asked.slice(2), ['9000 3 /ready'])
  rounds.follow(tableOf(backend('2', undefined, { port: 2 }), backend('3', undefined, { port: 3 })))
  open[1]?.answer(null)
  open[2]?.answer(null)
  await pass(3000)
  assert.equal(asked.slice(3), ['12000 2 /ready'], 'who has left does not get its turn')
})

test('whoever goes on for another process knows what that one has found', async () => {
  const { rounds, told, answers, pass } = setUp()
  rounds.follow(tableOf(backend('a')))
  rounds.adopt([
    { backend: 'a', check: 'readiness', reason: 'ill' },
    { backend: 'gone', check: 'readiness', reason: 'ill' },
    { backend: 'a', check: 'liveness', reason: 'dead' },
  ])
  assert.equal(told.splice(0), ['a unwell'])
  answers.set('/ready', null)
  await pass(0)
  assert.equal(told, ['a well', 'a readiness passes'])
  rounds.close()
})

test.run()
