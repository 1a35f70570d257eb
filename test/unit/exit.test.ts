import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock } from '../../daemon/clock.ts'
import type { Placed } from '../../daemon/engine/engine.ts'
import { createLog } from '../../daemon/log.ts'
import { createExits } from '../../daemon/run/exit.ts'

const GRACE = 30_000
const running: Placed = {
  id: 'a',
  app: 'app',
  release: 'r',
  type: 'web',
  name: 'web.1',
  running: true,
  exitCode: null,
  outOfMemory: false,
  address: '10.0.0.2',
  startedAt: 0,
  attached: false,
}
const ended = (exitCode: number): Placed => ({ ...running, running: false, exitCode, address: null })

function open() {
  let now = 0
  const told: [number | null, boolean][] = []
  const starved: boolean[] = []
  const clock = { ...systemClock, now: () => now }
  const exits = createExits({ clock, log: createLog(() => {}) }, ({ exitCode, outOfMemory }, overdue) => {
    told.push([exitCode, overdue])
    starved.push(outOfMemory)
  })
  const pass = (ms: number) => {
    now += ms
  }
  return { exits, told, starved, pass }
}

test('an end is told once, however often it is seen', async () => {
  const { exits, told } = open()
  await exits.tell(ended(1))
  await exits.tell(ended(1))
  exits.stopping('a', { grace: GRACE, running: false })
  exits.seen(ended(1))
  await exits.gone(() => ended(1), 'a')
  assert.equal(told, [[1, false]])
})

test('SIGKILL when the grace was over is R12; earlier, or without a grace, or another end then, is not', () => {
  const cases = [
    { grace: GRACE, after: GRACE, code: 137, overdue: true },
    { grace: GRACE, after: GRACE - 1, code: 137, overdue: false },
    { grace: GRACE, after: GRACE, code: 143, overdue: false },
    { grace: 0, after: GRACE, code: 137, overdue: false },
  ]
  for (const { grace, after, code, overdue } of cases) {
    const { exits, told, pass } = open()
    exits.stopping('a', { grace, running: true })
    pass(after)
    exits.seen(ended(code))
    assert.equal(told, [[code, overdue]])
  }
})

test('who stops as asked has not run out of memory, whatever the kernel did before; who is killed meanwhile has', () => {
  for (const [code, outOfMemory] of [
    [143, false],
    [137, true],
  ] as const) {
    const { exits, starved } = open()
    exits.stopping('a', { grace: GRACE, running: true })
    exits.seen({ ...ended(code), outOfMemory: true })
    assert.equal(starved, [outOfMemory])
  }
})

test('the end of who was not asked to stop waits for the plan', () => {
  const { exits, told } = open()
  exits.seen(ended(1))
  assert.equal(told, [])
})

test('after a stop the end is told with its status, although that comes later than that the container is gone', async () => {
  const { exits, told } = open()
  let placed = running
  exits.stopping('a', { grace: GRACE, running: true })
  const gone = exits.gone(() => placed, 'a')
  placed = ended(143)
  exits.seen(placed)
  await gone
  assert.equal(told, [[143, false]])
  assert.not(exits.isStopping('a'))
})

test('an end that the engine never tells is told without a status', async () => {
  const { exits, told } = open()
  exits.stopping('a', { grace: GRACE, running: true })
  const clockRuns = exits.gone(() => running, 'a')
  await clockRuns
  assert.equal(told, [[null, false]])
})

test('a dyno that had ended before its stop, and was told by an earlier daemon, is not told again', async () => {
  const { exits, told } = open()
  exits.stopping('a', { grace: GRACE, running: false })
  await exits.gone(() => ended(1), 'a')
  assert.equal(told, [])
})

test.run()
