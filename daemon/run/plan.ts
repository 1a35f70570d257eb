import type { DynoState, RolloutState } from '../store/schema.ts'
import type { ContainerState } from './placement.ts'

/**
 * Decides what to do for one app: `plan(wanted, dynos, now)` returns the next steps and when to look again. Pure; called again after
 * its steps, and after every event, until it returns none. Safe to repeat after a crash between any two lines, because it only
 * compares what is wanted with what is there.
 *
 * Invariants (test/unit/plan-simulation.test.ts tries them on thousands of histories):
 *  - a web dyno that serves is drained only when its slot has a successor that is up, or the slot is gone;
 *  - a candidate serves only after every one of its web slots was up at the same time; a failed one never;
 *  - a slot never has two running dynos of a type that is not web;
 *  - a dyno is stopped only when it is drained, superseded before it served, or over its time;
 *  - a one-off dyno is started once, takes part in nothing else, and outlives neither its command, its time nor its app.
 */
export interface Wanted {
  /** The release that must serve now. */
  serving: Target | null
  /** The oldest release on its way; at most one is rolled out at a time. */
  candidate: Candidate | null
  /** The app is being destroyed. */
  destroyed: boolean
}

export interface Target {
  release: string
  version: number
  /** Process types with a quantity above zero. */
  processes: Process[]
}

export interface Process {
  type: string
  command: string
  size: string
  quantity: number
}

export interface Candidate extends Target {
  state: Exclude<RolloutState, 'succeeded' | 'failed'>
  /** The Procfile's `release` command. */
  command: string | null
  /** Of the dyno that runs it. */
  commandSize?: string
  /** Every live router follows the table in which this release serves; also true when no router has a part in it. */
  acknowledged: boolean
}

/** A dyno's row and what is known of its container. */
export interface Seen {
  id: string
  release: string
  type: string
  ordinal: number
  size: string
  state: DynoState
  replace: boolean
  crashes: number
  retryAt: number | null
  exitCode: number | null
  /** When the row was made. */
  createdAt: number
  /** From when on it has had the chance to be found up: it runs and a router is there to reach it. */
  bootingSince: number | null
  /** When it got its state. */
  since: number
  container: ContainerState
  /** A router has reached its port. */
  healthy: boolean
  /** Every live router says that its last request has ended. */
  drained: boolean
  /** Set for a one-off dyno: when its time is over, and whether its client has yet to say what terminal it has. */
  oneOff: { endsAt: number; awaitsClient: boolean } | null
}

export type Step =
  | { do: 'start'; release: string; type: string; ordinal: number; size: string; command: string; crashes: number }
  /** The row is there but its container is not, and should be. */
  | { do: 'launch'; dyno: string }
  | { do: 'up'; dyno: string }
  | { do: 'crashed'; dyno: string; why: 'exited' | 'lost' | 'not started' | 'boot timeout' }
  | { do: 'ended'; dyno: string }
  | { do: 'drain'; dyno: string }
  | { do: 'stop'; dyno: string }
  | { do: 'advance'; release: string; to: 'phase' | 'booting' | 'cutover' | 'succeeded' }
  | { do: 'fail'; release: string; why: 'release command' | 'release command timeout' | 'boot'; dyno: string | null }

export interface Plan {
  steps: Step[]
  /** Something is due then, ms; null when only an event can change anything. */
  wakeAt: number | null
}

export interface Times {
  boot: number
  drain: number
  releaseCommand: number
}

export function plan(wanted: Wanted, dynos: Seen[], now: number, times: Times): Plan {
  const turn = new Turn(now, times)
  for (const dyno of dynos) turn.observe(dyno)
  if (turn.steps.length > 0) return turn.result()
  const kept = new Set<string>()
  const formation = dynos.filter(({ oneOff }) => oneOff === null)
  if (wanted.serving) keepFormation(wanted.serving, formation, kept, turn)
  if (wanted.candidate) rollOut(wanted.candidate, formation, kept, turn)
  if (!wanted.destroyed) for (const dyno of dynos) if (livesOn(dyno, turn)) kept.add(dyno.id)
  for (const dyno of dynos) if (!kept.has(dyno.id)) retire(dyno, wanted.serving, formation, turn)
  return turn.result()
}

/** A one-off dyno lives until its command has ended or its time is over. */
const livesOn = ({ oneOff, state }: Seen, turn: Turn): boolean =>
  oneOff !== null && (state === 'starting' || state === 'up') && !turn.due(oneOff.endsAt)

/** Routers have to do with it. */
const routed = ({ type, oneOff }: Seen): boolean => type === 'web' && oneOff === null

/** Collects the steps of one call and the earliest time at which something more is due. */
class Turn {
  readonly steps: Step[] = []
  readonly now: number
  readonly times: Times
  #wakeAt = Number.POSITIVE_INFINITY

  constructor(now: number, times: Times) {
    this.now = now
    this.times = times
  }

  /** True when `at` is reached; otherwise remembers to look again then. */
  due(at: number): boolean {
    if (at <= this.now) return true
    this.#wakeAt = Math.min(this.#wakeAt, at)
    return false
  }

  /** Brings a dyno's state in line with its container. */
  observe(dyno: Seen): void {
    if (dyno.state === 'starting' || dyno.state === 'up' || dyno.state === 'draining') this.#observeContainer(dyno)
    if (dyno.state === 'stopping' && dyno.container !== 'pending') this.steps.push({ do: 'stop', dyno: dyno.id })
  }

  #observeContainer(dyno: Seen): void {
    const { id, state, container } = dyno
    const ended = container === 'exited' || container === 'none' || container === 'failed'
    if (state === 'draining') {
      if (ended) this.steps.push({ do: 'stop', dyno: id })
    } else if (container === 'exited') {
      const passing = dyno.type === 'release' || dyno.oneOff !== null
      this.steps.push(passing ? { do: 'ended', dyno: id } : { do: 'crashed', dyno: id, why: 'exited' })
    } else if (container === 'failed') {
      this.steps.push({ do: 'crashed', dyno: id, why: 'not started' })
    } else if (container === 'none') {
      if (dyno.oneOff?.awaitsClient) return
      this.steps.push(state === 'starting' ? { do: 'launch', dyno: id } : { do: 'crashed', dyno: id, why: 'lost' })
    } else if (state === 'starting' && container === 'running' && (!routed(dyno) || dyno.healthy)) {
      this.steps.push({ do: 'up', dyno: id })
    } else if (state === 'starting' && dyno.bootingSince !== null && this.due(dyno.bootingSince + this.times.boot)) {
      this.steps.push({ do: 'crashed', dyno: id, why: 'boot timeout' })
    }
  }

  result(): Plan {
    return { steps: this.steps, wakeAt: Number.isFinite(this.#wakeAt) ? this.#wakeAt : null }
  }
}

const slots = (process: Process): number[] => Array.from({ length: process.quantity }, (_, index) => index + 1)

const holds = (dyno: Seen, release: string, type: string, ordinal: number): boolean =>
  dyno.release === release && dyno.type === type && dyno.ordinal === ordinal

/** The best dyno for a slot: one that is up before one that starts before one that crashed. */
const RANK: Partial<Record<DynoState, number>> = { up: 0, starting: 1, crashed: 2 }

function keeperOf(slot: { release: string; process: Process; ordinal: number }, dynos: Seen[]): Seen | undefined {
  return dynos
    .filter(
      (dyno) =>
        holds(dyno, slot.release, slot.process.type, slot.ordinal) &&
        dyno.size === slot.process.size &&
        !dyno.replace &&
        RANK[dyno.state] !== undefined,
    )
    .sort((a, b) => (RANK[a.state] ?? 3) - (RANK[b.state] ?? 3) || b.createdAt - a.createdAt)[0]
}

/** Every slot of the serving release has one dyno: keeps it, starts it, or starts it again when its back-off is over. */
function keepFormation(target: Target, dynos: Seen[], kept: Set<string>, turn: Turn): void {
  for (const process of target.processes)
    for (const ordinal of slots(process)) {
      const keeper = keeperOf({ release: target.release, process, ordinal }, dynos)
      const restart = keeper?.state === 'crashed' && turn.due(keeper.retryAt ?? turn.now)
      if (keeper && !restart) kept.add(keeper.id)
      else if (process.type === 'web' || !occupied(process.type, ordinal, dynos, keeper))
        turn.steps.push(start(target.release, process, ordinal, keeper?.crashes ?? 0))
    }
}

/** Types other than web never run twice in one slot: the predecessor's container must be gone before its successor starts. */
const occupied = (type: string, ordinal: number, dynos: Seen[], except: Seen | undefined): boolean =>
  dynos.some((dyno) => dyno !== except && dyno.type === type && dyno.ordinal === ordinal && dyno.state !== 'crashed')

const start = (release: string, process: Process, ordinal: number, crashes: number): Step => ({
  do: 'start',
  release,
  type: process.type,
  ordinal,
  size: process.size,
  command: process.command,
  crashes,
})

/** Moves the candidate one state on; the diagram is in rollout.ts. */
function rollOut(candidate: Candidate, dynos: Seen[], kept: Set<string>, turn: Turn): void {
  const { release, state } = candidate
  switch (state) {
    case 'waiting':
      turn.steps.push({ do: 'advance', release, to: candidate.command === null ? 'booting' : 'phase' })
      return
    case 'phase':
      return runReleaseCommand(candidate, dynos, kept, turn)
    case 'booting':
    case 'cutover':
      return boot(candidate, dynos, kept, turn)
    default:
      state satisfies never
  }
}

function runReleaseCommand(candidate: Candidate, dynos: Seen[], kept: Set<string>, turn: Turn): void {
  const { release } = candidate
  const dyno = dynos.find((dyno) => dyno.release === release && dyno.type === 'release')
  if (!dyno) {
    const process = {
      type: 'release',
      command: candidate.command ?? '',
      size: candidate.commandSize ?? '',
      quantity: 1,
    }
    turn.steps.push(start(release, process, candidate.version, 0))
    return
  }
  if (dyno.state === 'down' && dyno.exitCode === 0) turn.steps.push({ do: 'advance', release, to: 'booting' })
  else if (dyno.state === 'down' || dyno.state === 'crashed')
    turn.steps.push({ do: 'fail', release, why: 'release command', dyno: dyno.id })
  else if (turn.due(dyno.createdAt + turn.times.releaseCommand))
    turn.steps.push({ do: 'fail', release, why: 'release command timeout', dyno: dyno.id })
  else kept.add(dyno.id)
}

/** All web slots of the candidate start beside the serving ones; when all are up at once it may cut over, when one crashes it fails. */
function boot(candidate: Candidate, dynos: Seen[], kept: Set<string>, turn: Turn): void {
  const { release } = candidate
  const web = candidate.processes.find((process) => process.type === 'web')
  const wanted = web ? slots(web) : []
  const crashed = dynos.find((dyno) => dyno.release === release && dyno.type === 'web' && dyno.state === 'crashed')
  if (crashed) {
    turn.steps.push({ do: 'fail', release, why: 'boot', dyno: crashed.id })
    return
  }
  let up = 0
  for (const ordinal of wanted) {
    if (!web) continue
    const keeper = keeperOf({ release, process: web, ordinal }, dynos)
    if (!keeper) turn.steps.push(start(release, web, ordinal, 0))
    else kept.add(keeper.id)
    if (keeper?.state === 'up') up++
  }
  if (up < wanted.length) return
  if (candidate.state === 'booting') turn.steps.push({ do: 'advance', release, to: 'cutover' })
  else if (candidate.acknowledged) turn.steps.push({ do: 'advance', release, to: 'succeeded' })
}

/** A dyno that nothing wants: one that may have requests is drained first, and only when its slot is served by another or gone. */
function retire(dyno: Seen, serving: Target | null, dynos: Seen[], turn: Turn): void {
  switch (dyno.state) {
    case 'up':
      if (!routed(dyno)) turn.steps.push({ do: 'stop', dyno: dyno.id })
      else if (!awaitsSuccessor(dyno, serving, dynos)) turn.steps.push({ do: 'drain', dyno: dyno.id })
      return
    case 'draining':
      if (dyno.drained || turn.due(dyno.since + turn.times.drain)) turn.steps.push({ do: 'stop', dyno: dyno.id })
      return
    case 'starting':
    case 'crashed':
    case 'down':
      turn.steps.push({ do: 'stop', dyno: dyno.id })
      return
    case 'stopping':
      return
    default:
      dyno.state satisfies never
  }
}

/** True while the slot of a serving web dyno is wanted and nobody else in it is up. */
function awaitsSuccessor(dyno: Seen, serving: Target | null, dynos: Seen[]): boolean {
  const process = serving?.processes.find((process) => process.type === dyno.type)
  if (!serving || !process || dyno.ordinal > process.quantity) return false
  return keeperOf({ release: serving.release, process, ordinal: dyno.ordinal }, dynos)?.state !== 'up'
}
