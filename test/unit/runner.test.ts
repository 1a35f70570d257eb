import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Clock } from '../../daemon/clock.ts'
import { createLog } from '../../daemon/log.ts'
import { createRunner, type Pass } from '../../daemon/runner.ts'

/** A clock that stands until it is moved; `alarms` are rung by hand. */
function standing() {
  let now = 0
  const alarms = new Set<{ at: number; wake: () => void }>()
  const clock: Clock = {
    now: () => now,
    at(at, wake) {
      const alarm = { at, wake }
      alarms.add(alarm)
      return () => alarms.delete(alarm)
    },
  }
  const advance = (to: number): void => {
    now = to
    for (const alarm of [...alarms].filter(({ at }) => at <= to)) {
      alarms.delete(alarm)
      alarm.wake()
    }
  }
  return { clock, alarms, advance }
}

/** Passes that end when they are let; `begun` are those that run or ran. */
function passes() {
  const begun: { app: string; signal: AbortSignal; end(next?: number | null): void; fail(): void }[] = []
  const pass: Pass = (app, signal) =>
    new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
      begun.push({ app, signal, end: (next = null) => resolve(next), fail: () => reject(new Error('broken')) })
    })
  return { begun, pass }
}

/** Long enough for every promise that can go on to go on. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const silent = createLog(() => {})

test('one pass at a time for an app; a poke during a pass means one more, however often', async () => {
  const { begun, pass } = passes()
  const runner = createRunner(pass, standing().clock, silent)
  for (let n = 0; n < 5; n++) runner.poke('a')
  await settle()
  assert.is(begun.length, 1)
  for (let n = 0; n < 5; n++) runner.poke('a')
  await settle()
  assert.is(begun.length, 1)
  begun[0]?.end()
  await settle()
  assert.is(begun.length, 2)
  begun[1]?.end()
  await settle()
  assert.is(begun.length, 2)
  await runner.stop()
})

test('passes of different apps run side by side', async () => {
  const { begun, pass } = passes()
  const runner = createRunner(pass, standing().clock, silent)
  runner.poke('a')
  runner.poke('b')
  await settle()
  assert.equal(
    begun.map(({ app }) => app),
    ['a', 'b'],
  )
  await runner.stop()
})

test('a pass is run again at the time that the last one named, and a poke before it replaces the alarm', async () => {
  const { begun, pass } = passes()
  const time = standing()
  const runner = createRunner(pass, time.clock, silent)
  runner.poke('a')
  begun[0]?.end(1000)
  await settle()
  time.advance(999)
  await settle()
  assert.is(begun.length, 1)
  time.advance(1000)
  await settle()
  assert.is(begun.length, 2)
  begun[1]?.end(5000)
  await settle()
  runner.poke('a')
  await settle()
  begun[2]?.end(null)
  await settle()
  assert.is(time.alarms.size, 0)
  await runner.stop()
})

test('a pass that throws is repeated with back-off, at most 15 seconds later', async () => {
  const { begun, pass } = passes()
  const time = standing()
  const runner = createRunner(pass, time.clock, silent)
  const waits: number[] = []
  runner.poke('a')
  for (let n = 0; n < 9; n++) {
    begun[n]?.fail()
    await settle()
    const [alarm] = time.alarms
    waits.push((alarm?.at ?? 0) - time.clock.now())
    time.advance(alarm?.at ?? 0)
    await settle()
  }
  assert.equal(waits, [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000])
  begun[9]?.end(0)
  await settle()
  await runner.stop()
})

test('a stop aborts what runs, waits for it, and lets nothing begin', async () => {
  const { begun, pass } = passes()
  const time = standing()
  const runner = createRunner(pass, time.clock, silent)
  runner.poke('a')
  runner.poke('b')
  begun[1]?.end(1000)
  await settle()
  runner.poke('a')
  await runner.stop()
  assert.ok(begun[0]?.signal.aborted)
  runner.poke('a')
  time.advance(2000)
  await settle()
  assert.is(begun.length, 2)
  assert.is(time.alarms.size, 0)
})

test('a poke at the very end of a pass is not lost', async () => {
  const time = standing()
  let passes = 0
  const runner = createRunner(
    async () => {
      passes++
      if (passes < 50) queueMicrotask(() => runner.poke('a'))
      return null
    },
    time.clock,
    silent,
  )
  runner.poke('a')
  for (let n = 0; n < 60; n++) await settle()
  assert.is(passes, 50)
  await runner.stop()
})

test.run()
