import type { DynoState, RolloutState } from '../store/schema.ts'
import { Berths, drainForRoom } from './berth.ts'
import { failStopped, rollOut } from './candidate.ts'
import type { ContainerState } from './placement.ts'
import { incumbentOf, inherited, keeperOf, type Slot, slotsOf, start } from './slot.ts'
import { mayRun, routed, Turn } from './turn.ts'

/**
 * Decides what to do for one app: `plan(wanted, dynos, now, times, room)` returns the next steps and when to look again. Pure; called
 * again after its steps, and after every event, until it returns none. Safe to repeat after a crash between any two lines, because it
 * only compares what is wanted with what is there.
 *
 * Invariants (test/simulation tries them, and what follows from them, on thousands of histories):
 *  - a web dyno that serves is drained only when its slot has a successor that is up, or the slot is gone and another is up, or there is no
 *    room for successors and half of the wanted web dynos stay up; of a serial app none need stay;
 *  - a candidate serves only when all its web slots are up at once or, without room for all, those that had room, one at least; a failed
 *    one never;
 *  - a web dyno beyond the slots of the serving release is started only when there is room for it; the slots themselves are the app's own:
 *    what crashed or was lost comes back whatever the room;
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
  /** Without room for a web dyno beside those that serve the app would rather not serve for a while than not be released. */
  serial: boolean
}

/** Memory that nobody was promised, bytes; below 0 when more is promised than there is. */
export interface Room {
  now: number
  /** At best, when what starts has come to rest and what ends has gone; not less than `now`. */
  soon: number
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
  /** Of each dyno, bytes. */
  memory: number
  quantity: number
}

export interface Candidate extends Target {
  state: Exclude<RolloutState, 'succeeded' | 'failed'>
  /** The Procfile's `release` command. */
  command: string | null
  /** Of the dyno that runs it; memory in bytes. */
  commandSize: string
  commandMemory: number
  /** When it came into its state. */
  since: number
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
  /** How long it may boot, when that is not the usual time. */
  bootTime?: number
  /** When it is due to be replaced for its age, if ever. */
  cycleAt?: number | null
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
  | {
      do: 'start'
      release: string
      type: string
      ordinal: number
      size: string
      command: string
      crashes: number
      /** Nobody was promised this memory, bytes: not to be started when there is less by then. 0: it has its slot. */
      beyond: number
    }
  /** The row is there but its container is not, and should be. */
  | { do: 'launch'; dyno: string }
  | { do: 'up'; dyno: string }
  | { do: 'crashed'; dyno: string; why: 'exited' | 'lost' | 'not started' | 'boot timeout' }
  /** It has crashed, and its container may run all the same. */
  | { do: 'clear'; dyno: string }
  | { do: 'ended'; dyno: string }
  /** It has lived its day, and is to be replaced. */
  | { do: 'cycle'; dyno: string }
  | { do: 'drain'; dyno: string }
  | { do: 'stop'; dyno: string }
  | { do: 'advance'; release: string; to: 'phase' | 'booting' | 'cutover' | 'succeeded' }
  | { do: 'fail'; release: string; why: CommandFailure | 'boot'; dyno: string | null }
  /** `needs`: bytes that it takes at least. */
  | { do: 'fail'; release: string; why: 'room'; dyno: null; needs: number }

export type CommandFailure = 'release command' | 'release command timeout' | 'release command stopped'

export interface Plan {
  steps: Step[]
  /** Something is due then, ms; null when only an event can change anything. */
  wakeAt: number | null
  /** What is not started because there is no room for it; its app is to be looked at when there is more. */
  waiting: Slot[]
  /** Whether any of this depends on the room. */
  asked: boolean
}

export interface Times {
  boot: number
  drain: number
  releaseCommand: number
  /** How long a release waits for room that there may soon be. */
  roomWait: number
}

/** What one call looks at, and what it has decided so far. */
export interface Scene {
  wanted: Wanted
  /** All but one-off dynos. */
  formation: Seen[]
  kept: Set<string>
  berths: Berths
  turn: Turn
}

export function plan(wanted: Wanted, dynos: Seen[], now: number, times: Times, room: Room): Plan {
  const turn = new Turn(now, times, room)
  if (wanted.candidate) failStopped(wanted.candidate, dynos, turn)
  for (const dyno of dynos) turn.observe(dyno)
  if (turn.steps.length > 0) return turn.result()
  const kept = new Set<string>()
  const formation = dynos.filter(({ oneOff }) => oneOff === null)
  const scene = { wanted, formation, kept, berths: new Berths(wanted.serving, formation, turn), turn }
  const empty = wanted.serving ? keepFormation(wanted.serving, scene) : []
  if (wanted.candidate) rollOut(wanted.candidate, scene)
  fill(empty, scene)
  if (!wanted.destroyed) for (const dyno of dynos) if (livesOn(dyno, turn)) kept.add(dyno.id)
  for (const dyno of dynos) if (!kept.has(dyno.id)) retire(dyno, scene)
  if (!wanted.candidate && turn.steps.length === 0) cycle(formation, turn)
  return turn.result()
}

/** A one-off dyno lives until its command has ended or its time is over. */
const livesOn = ({ oneOff, state }: Seen, turn: Turn): boolean =>
  oneOff !== null && (state === 'starting' || state === 'up') && !turn.due(oneOff.endsAt)

/**
 * Every slot of the serving release has one dyno: keeps it, starts it, or starts it again when its back-off is over. Returns the web slots that have
 * none, or one that is to be replaced.
 */
function keepFormation(target: Target, { formation, kept, berths, turn }: Scene): Slot[] {
  const empty: Slot[] = []
  for (const slot of slotsOf(target)) {
    const { type } = slot.process
    const keeper = keeperOf(slot, formation)
    const restart = keeper?.state === 'crashed' && turn.due(keeper.retryAt ?? turn.now)
    if (keeper && !restart) kept.add(keeper.id)
    else if (type === 'web' && keeperOf(slot, formation, true)?.state === 'crashed') {
      berths.reenter(slot.process)
      turn.steps.push(start(slot, { crashes: keeper?.crashes ?? 0 }))
    } else if (type === 'web') empty.push(slot)
    else if (!occupied(slot, formation)) turn.steps.push(start(slot, { crashes: keeper?.crashes ?? 0 }))
  }
  return empty
}

/** Types other than web never run twice in one slot: the predecessor's container must be gone before its successor starts. */
const occupied = ({ process, ordinal }: Slot, dynos: Seen[]): boolean =>
  dynos.some(
    (dyno) =>
      dyno.type === process.type &&
      dyno.ordinal === ordinal &&
      (dyno.state !== 'crashed' || dyno.container === 'pending' || mayRun(dyno)),
  )

/** Starts web dynos of the serving release. Those that replace others do it one after the other when there is no room beside. */
function fill(empty: Slot[], scene: Scene): void {
  const { wanted, formation, berths, turn } = scene
  const vacant = (slot: Slot): boolean => incumbentOf(slot, formation) === undefined
  const stuck = [...empty]
    .sort((a, b) => Number(vacant(b)) - Number(vacant(a)))
    .filter((slot) => {
      const berth = berths.take(slot.process)
      return !turn.startIn(slot, berth && { ...berth, crashes: inherited(slot, formation) })
    })
  const [first] = stuck
  // Those that made way for a release on its way come back when that has failed.
  if (!first || wanted.candidate?.state === 'booting' || wanted.candidate?.state === 'cutover') return
  turn.wait(stuck)
  const moving = berths.moving || stuck.length < empty.length
  if (!moving && !berths.hopes(first.process.memory)) drainForRoom(1, scene)
}

/** Those that have lived their day are replaced one after the other. */
function cycle(formation: Seen[], turn: Turn): void {
  if (formation.some(({ state, replace }) => replace || state === 'starting')) return
  const due = formation.filter(({ state, cycleAt }) => state === 'up' && cycleAt != null && turn.due(cycleAt))
  const [oldest] = due.sort((a, b) => a.createdAt - b.createdAt)
  if (oldest) turn.steps.push({ do: 'cycle', dyno: oldest.id })
}

/** A dyno that nothing wants: one that may have requests is drained first, and only when another serves in its place. */
function retire(dyno: Seen, scene: Scene): void {
  const { turn } = scene
  switch (dyno.state) {
    case 'up':
      if (!routed(dyno)) turn.steps.push({ do: 'stop', dyno: dyno.id })
      else if (!awaitsSuccessor(dyno, scene)) turn.steps.push({ do: 'drain', dyno: dyno.id })
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

/**
 * True while nobody else is up in the slot of a web dyno that may have requests; when its slot is gone, while nobody is up in any other,
 * also when those wait for its room. In cutover the requests are the candidate's.
 */
function awaitsSuccessor(dyno: Seen, { wanted: { serving, candidate }, formation }: Scene): boolean {
  const target = [serving, candidate?.state === 'cutover' ? candidate : null].find(
    (one) => one?.release === dyno.release,
  )
  const web = target ? slotsOf(target).filter(({ process }) => process.type === 'web') : []
  const own = web.filter(({ ordinal }) => ordinal === dyno.ordinal)
  const places = own.length > 0 ? own : web
  return places.length > 0 && places.every((slot) => keeperOf(slot, formation)?.state !== 'up')
}
