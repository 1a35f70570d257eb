import { drainForRoom, least, webOf } from './berth.ts'
import type { Candidate, Process, Scene, Seen } from './plan.ts'
import { incumbentOf, keeperOf, type Slot, slotsOf } from './slot.ts'
import type { Turn } from './turn.ts'

/** Moves the candidate one state on; the diagram is in rollout.ts. */
export function rollOut(candidate: Candidate, scene: Scene): void {
  const { release, state } = candidate
  const { turn } = scene
  switch (state) {
    case 'waiting': {
      const needs = leastOf(candidate, scene)
      if (needs > 0 && needs > turn.room.soon) failForRoom(candidate, needs, scene)
      else turn.steps.push({ do: 'advance', release, to: candidate.command === null ? 'booting' : 'phase' })
      return
    }
    case 'phase':
      return runReleaseCommand(candidate, scene)
    case 'booting':
    case 'cutover':
      return boot(candidate, scene)
    default:
      state satisfies never
  }
}

/** Bytes without which it need not be begun: what its formation has more than the one that serves, and what must run beside that. */
function leastOf(candidate: Candidate, { wanted: { serving, serial }, berths }: Scene): number {
  const web = webOf(candidate)
  const before = webOf(serving)
  const beside = web && before && before.quantity === least(before, serial) && !berths.free ? web.memory : 0
  const growth = sumOf(candidate.processes) - sumOf(serving?.processes ?? [])
  return Math.max(growth, beside, candidate.command === null ? 0 : candidate.commandMemory)
}

const sumOf = (processes: Process[]): number =>
  processes.reduce((sum, { memory, quantity }) => sum + memory * quantity, 0)

const failForRoom = ({ release }: Candidate, needs: number, { turn }: Scene): void =>
  void turn.steps.push({ do: 'fail', release, why: 'room', dyno: null, needs })

/** A release command that somebody stopped is not run again. Looked at before its dyno is gone. */
export function failStopped({ release, state }: Candidate, dynos: Seen[], turn: Turn): void {
  const dyno = dynos.find((dyno) => dyno.release === release && dyno.type === 'release' && dyno.oneOff === null)
  if (state === 'phase' && dyno?.state === 'stopping')
    turn.steps.push({ do: 'fail', release, why: 'release command stopped', dyno: dyno.id })
}

function runReleaseCommand(candidate: Candidate, scene: Scene): void {
  const { release, commandMemory, since } = candidate
  const { formation, kept, berths, turn } = scene
  const dyno = formation.find((dyno) => dyno.release === release && dyno.type === 'release')
  if (!dyno) {
    const process = {
      type: 'release',
      command: candidate.command ?? '',
      size: candidate.commandSize,
      memory: commandMemory,
      quantity: 1,
    }
    const slot = { release, process, ordinal: candidate.version }
    if (turn.startIn(slot, berths.takeRoom(commandMemory))) return
    if (berths.hopes(commandMemory, since + turn.times.roomWait)) turn.wait([slot])
    else failForRoom(candidate, commandMemory, scene)
    return
  }
  if (dyno.state === 'down' && dyno.exitCode === 0) turn.steps.push({ do: 'advance', release, to: 'booting' })
  else if (dyno.state === 'down' || dyno.state === 'crashed')
    turn.steps.push({ do: 'fail', release, why: 'release command', dyno: dyno.id })
  else if (turn.due(dyno.createdAt + turn.times.releaseCommand))
    turn.steps.push({ do: 'fail', release, why: 'release command timeout', dyno: dyno.id })
  else kept.add(dyno.id)
}

/**
 * The web slots of the candidate start beside the serving ones, as far as there is room; when all of them are up at once it may cut
 * over, when one crashes it fails. In cutover routers send to it: when a crash there finds nobody else up it is the candidate that serves, whose
 * dynos come back.
 */
function boot(candidate: Candidate, scene: Scene): void {
  const { release, state } = candidate
  const { formation, kept, berths, turn } = scene
  const crashed = formation.find((dyno) => dyno.release === release && dyno.type === 'web' && dyno.state === 'crashed')
  const up = formation.filter((dyno) => dyno.type === 'web' && dyno.state === 'up')
  const alone = state === 'cutover' && up.length > 0 && up.every((dyno) => dyno.release === release)
  if (crashed && !alone) {
    turn.steps.push({ do: 'fail', release, why: 'boot', dyno: crashed.id })
    return
  }
  const slots = slotsOf(candidate).filter(({ process }) => process.type === 'web')
  const keepers: Seen[] = []
  const stuck: Slot[] = []
  for (const slot of slots) {
    // One that is to be replaced is, when its release serves.
    const keeper = keeperOf(slot, formation, true)
    if (!keeper && turn.startIn(slot, berths.take(slot.process))) continue
    const holder = keeper ?? incumbentOf(slot, formation)
    if (holder) keepers.push(holder)
    else stuck.push(slot)
  }
  for (const { id } of keepers) kept.add(id)
  turn.wait(stuck)
  const started = slots.length - stuck.length
  const [first] = stuck
  if (
    first &&
    makesRoom(candidate, { memory: stuck.length * first.process.memory, dynos: stuck.length, started }, scene)
  )
    return
  if (first && started === 0) return failForRoom(candidate, first.process.memory, scene)
  if (!crashed && keepers.filter(({ state }) => state === 'up').length < started) return
  if (state === 'booting') turn.steps.push({ do: 'advance', release, to: 'cutover' })
  else if (candidate.acknowledged) turn.steps.push({ do: 'advance', release, to: 'succeeded' })
}

/** Whether there will be room for some of those that lack it: others end by themselves, or are drained now. What has room does not wait in cutover. */
function makesRoom(
  { state, since }: Candidate,
  lacking: { memory: number; dynos: number; started: number },
  scene: Scene,
): boolean {
  const { berths, turn } = scene
  if (state === 'cutover') return lacking.started === 0 && berths.moving
  if (berths.hopes(lacking.memory, since + turn.times.roomWait)) return true
  if (drainForRoom(lacking.dynos - berths.leaving, scene) > 0) return true
  return lacking.started === 0 ? berths.moving : berths.leaving > 0
}
