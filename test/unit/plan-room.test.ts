import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Candidate,
  plan,
  type Room,
  type Seen,
  type Step,
  type Target,
  type Wanted,
} from '../../daemon/run/plan.ts'

const EACH = 512
const NOW = 1_000_000
const times = { boot: 60_000, drain: 45_000, releaseCommand: 3_600_000, roomWait: 120_000 }

const target = (version: number, quantity: number): Target => ({
  release: `v${version}`,
  version,
  processes: [{ type: 'web', command: 'serve', size: 'Basic', memory: EACH, quantity }],
})
const candidate = (version: number, quantity: number, given: Partial<Candidate> = {}): Candidate => ({
  ...{ ...target(version, quantity), state: 'booting', command: null, commandSize: 'Basic', commandMemory: EACH },
  ...{ since: NOW, acknowledged: false },
  ...given,
})
const dyno = (release: string, ordinal: number, given: Partial<Seen> = {}): Seen => ({
  ...{ id: `${release} web.${ordinal}`, release, type: 'web', ordinal, size: 'Basic', state: 'up', replace: false },
  ...{ crashes: 0, retryAt: null, exitCode: null, createdAt: 0, bootingSince: null, since: 0, container: 'running' },
  ...{ healthy: true, drained: false, oneOff: null },
  ...given,
})
const dynos = (release: string, count: number, given: Partial<Seen> = {}): Seen[] =>
  Array.from({ length: count }, (_, n) => dyno(release, n + 1, given))

const words = (step: Step): string => {
  if (step.do === 'start')
    return `start ${step.release} ${step.type}.${step.ordinal}${step.beyond > 0 ? ' beyond' : ''}`
  if (step.do === 'advance') return `${step.release} to ${step.to}`
  if (step.do === 'fail') return `fail ${step.release}: ${step.why}${step.why === 'room' ? ` ${step.needs}` : ''}`
  return `${step.do} ${step.dyno}`
}

/** Room for so many dynos, now and soon. */
function decide(wanted: Partial<Wanted>, seen: Seen[], now: number, soon = now) {
  const room: Room = { now: now * EACH, soon: soon * EACH }
  const whole = { serving: null, candidate: null, destroyed: false, serial: false, ...wanted }
  const made = plan(whole, seen, NOW, times, room)
  return { ...made, steps: made.steps.map(words), waiting: made.waiting.map(({ ordinal }) => ordinal) }
}

test('with room for all, a release starts beside the one that serves', () => {
  const made = decide({ serving: target(1, 2), candidate: candidate(2, 2) }, dynos('v1', 2), 2)
  assert.equal(made.steps, ['start v2 web.1 beyond', 'start v2 web.2 beyond'])
  assert.equal(made.waiting, [])
})

test('with room for one of four, half of the old ones are drained, and nothing is begun before their end', () => {
  const wanted = { serving: target(1, 4), candidate: candidate(2, 4) }
  assert.equal(decide(wanted, dynos('v1', 4), 1).steps, ['start v2 web.1 beyond', 'drain v1 web.4', 'drain v1 web.3'])
  const draining = [...dynos('v1', 2), ...[3, 4].map((n) => dyno('v1', n, { state: 'draining', since: NOW }))]
  const first = dyno('v2', 1, { state: 'starting', healthy: false })
  const made = decide(wanted, [...draining, first], 0)
  assert.equal([made.steps, made.waiting], [[], [2, 3, 4]])
})

test('those that have ended give their places to the new release, and not back to the old one', () => {
  const wanted = { serving: target(1, 4), candidate: candidate(2, 4) }
  const made = decide(wanted, [...dynos('v1', 2), dyno('v2', 1)], 0)
  assert.equal(made.steps, ['start v2 web.2'])
})

test('routers cut over when those that had room are up; the rest follows as the old ones end', () => {
  const serving = target(1, 4)
  const half = [...dynos('v1', 2), ...dynos('v2', 2)]
  assert.equal(decide({ serving, candidate: candidate(2, 4) }, half, 0).steps, ['v2 to cutover'])
  const boots = [...dynos('v1', 2), dyno('v2', 1), dyno('v2', 2, { state: 'starting', healthy: false })]
  assert.equal(decide({ serving, candidate: candidate(2, 4) }, boots, 0).steps, [])
  const cut = candidate(2, 4, { state: 'cutover', acknowledged: true })
  assert.equal(decide({ serving, candidate: cut }, half, 0).steps, ['v2 to succeeded'])
  const after = decide({ serving: target(2, 4) }, half, 0)
  assert.equal(
    [after.steps, after.waiting],
    [
      ['drain v1 web.1', 'drain v1 web.2'],
      [3, 4],
    ],
  )
  assert.equal(decide({ serving: target(2, 4) }, dynos('v2', 2), 0).steps, ['start v2 web.3', 'start v2 web.4'])
})

test('a dyno that crashes in the first batch fails the release, and the old formation is filled up again', () => {
  const wanted = { serving: target(1, 2), candidate: candidate(2, 2) }
  const crashed = dyno('v2', 1, { state: 'crashed', container: 'exited' })
  assert.equal(decide(wanted, [dyno('v1', 1), crashed], 0).steps[0], 'fail v2: boot')
  const gone = decide(
    { serving: target(1, 2) },
    [dyno('v1', 1), dyno('v2', 1, { state: 'stopping', container: 'pending' })],
    0,
  )
  assert.equal([gone.steps, gone.waiting], [[], [2]])
  assert.equal(decide({ serving: target(1, 2) }, [dyno('v1', 1)], 0).steps, ['start v1 web.2'])
})

test('what a release has whose turn another took goes first, and leaves its room to that one', () => {
  const wanted = { serving: target(1, 1), candidate: candidate(3, 1, { state: 'waiting' }) }
  const boots = (given: Partial<Seen>) => [dyno('v1', 1), dyno('v2', 1, { healthy: false, ...given })]
  assert.equal(decide(wanted, boots({ state: 'starting' }), 0).steps, ['stop v2 web.1'])
  const going = boots({ state: 'stopping', container: 'pending' })
  assert.equal(decide(wanted, going, 0, 1).steps, ['v3 to booting'])
  const made = decide({ ...wanted, candidate: candidate(3, 1) }, going, 0, 1)
  assert.equal([made.steps, made.waiting], [[], [1]])
})

test('when not even one fits beside the only one, the release fails before anything is begun', () => {
  const waiting = candidate(2, 1, { state: 'waiting' })
  assert.equal(decide({ serving: target(1, 1), candidate: waiting }, dynos('v1', 1), 0).steps, ['fail v2: room 512'])
  assert.equal(decide({ serving: target(1, 1), candidate: candidate(2, 1) }, dynos('v1', 1), 0).steps, [
    'fail v2: room 512',
  ])
})

test('a serial app has its only dyno stopped for the new one, but only when there is no room', () => {
  const wanted = { serving: target(1, 1), candidate: candidate(2, 1), serial: true }
  assert.equal(decide(wanted, dynos('v1', 1), 0).steps, ['drain v1 web.1'])
  assert.equal(decide(wanted, [], 0).steps, ['start v2 web.1'])
  assert.equal(decide(wanted, dynos('v1', 1), 1).steps, ['start v2 web.1 beyond'])
})

test('a release waits for room that may be there soon, two minutes at most', () => {
  const serving = target(1, 1)
  const made = decide({ serving, candidate: candidate(2, 1) }, dynos('v1', 1), 0, 1)
  assert.equal([made.steps, made.waiting, made.wakeAt], [[], [1], NOW + 2000])
  const late = candidate(2, 1, { since: NOW - times.roomWait })
  assert.equal(decide({ serving, candidate: late }, dynos('v1', 1), 0, 1).steps, ['fail v2: room 512'])
})

test('a release command needs room of its own, and fails its release without it', () => {
  const phase = candidate(2, 1, { state: 'phase', command: 'migrate' })
  assert.equal(decide({ serving: target(1, 1), candidate: phase }, dynos('v1', 1), 1).steps, [
    'start v2 release.2 beyond',
  ])
  assert.equal(decide({ serving: target(1, 1), candidate: phase }, dynos('v1', 1), 0).steps, ['fail v2: room 512'])
})

test('a release that makes the formation larger than there is room for fails at once', () => {
  const first = candidate(1, 3, { state: 'waiting' })
  assert.equal(decide({ candidate: first }, [], 2).steps, ['fail v1: room 1536'])
  assert.equal(decide({ candidate: first }, [], 3).steps, ['v1 to booting'])
})

test('the only dyno may be replaced without room when it has crashed: its place is the new one’s', () => {
  const crashed = dyno('v1', 1, { state: 'crashed', container: 'exited', retryAt: NOW + 5000 })
  const made = decide({ serving: target(1, 1), candidate: candidate(2, 1) }, [crashed], 0)
  assert.equal(made.steps, ['start v2 web.1'])
})

test('what crashed comes back whatever the room', () => {
  const crashed = dyno('v1', 2, { state: 'crashed', container: 'exited', retryAt: NOW })
  const made = decide({ serving: target(1, 2) }, [dyno('v1', 1), crashed], -5)
  assert.equal(made.steps, ['start v1 web.2', 'stop v1 web.2'])
  assert.equal(decide({ serving: target(1, 2) }, [], -5).steps, ['start v1 web.1', 'start v1 web.2'])
})

test('a restart replaces as many at once as there is room for beside, and without any one after the other', () => {
  const serving = target(1, 2)
  const marked = dynos('v1', 2, { replace: true })
  assert.equal(decide({ serving }, marked, 2).steps, ['start v1 web.1 beyond', 'start v1 web.2 beyond'])
  assert.equal(decide({ serving }, marked, 1).steps, ['start v1 web.1 beyond'])
  const made = decide({ serving }, marked, 0)
  assert.equal([made.steps, made.waiting], [['drain v1 web.2'], [1, 2]])
  const [one] = marked as [Seen, Seen]
  assert.equal(decide({ serving }, [one], 0).steps, ['start v1 web.2'])
  const next = { ...dyno('v1', 2), id: 'the successor' }
  assert.equal(decide({ serving }, [one, next], 0).steps, ['drain v1 web.1'])
})

test('a restart of the only dyno waits for room, and a serial app stops it', () => {
  const marked = dynos('v1', 1, { replace: true })
  const made = decide({ serving: target(1, 1) }, marked, 0)
  assert.equal([made.steps, made.waiting, made.wakeAt], [[], [1], null])
  assert.equal(decide({ serving: target(1, 1), serial: true }, marked, 0).steps, ['drain v1 web.1'])
})

test('who is to be replaced while its release is cut over waits until that serves', () => {
  const cut = candidate(2, 1, { state: 'cutover', acknowledged: true })
  const marked = dyno('v2', 1, { replace: true })
  const made = decide({ serving: target(1, 1), candidate: cut }, [dyno('v1', 1), marked], 0)
  assert.equal(made.steps, ['v2 to succeeded'])
})

test('a plan says whether it depends on the room', () => {
  assert.not.ok(decide({ serving: target(1, 2) }, dynos('v1', 2), 0).asked)
  assert.not.ok(decide({ serving: target(1, 2) }, dynos('v1', 1), 0).asked)
  assert.ok(decide({ serving: target(1, 2) }, dynos('v1', 2, { replace: true }), 9).asked)
})

test.run()
