import type { Process, Scene, Seen, Target } from './plan.ts'
import type { Turn } from './turn.ts'

/**
 * Who may start a web dyno: as many as the serving release has slots are the app's own, whatever the room; those beyond them, as two
 * releases side by side need, take of the room. So a dyno that ends makes way for one of its app, however little it used.
 */
export class Berths {
  /** Something starts or ends, after which there may be a berth. */
  readonly moving: boolean
  /** On their way out. */
  readonly leaving: number
  readonly #turn: Turn
  #own: number
  #taken = 0

  constructor(serving: Target | null, formation: Seen[], turn: Turn) {
    const web = formation.filter(({ type }) => type === 'web')
    const inState = (...states: Seen['state'][]) => web.filter(({ state }) => states.includes(state))
    this.#turn = turn
    this.#own = (webOf(serving)?.quantity ?? 0) - inState('starting', 'up', 'draining', 'stopping').length
    this.leaving = inState('draining', 'stopping').length
    this.moving = this.leaving + inState('starting').length > 0
  }

  /** Whether a web dyno could start without any room. */
  get free(): boolean {
    return this.#own > 0
  }

  /** One that crashed comes back, whatever the room. */
  reenter({ memory }: Process): void {
    if (this.free) this.#own--
    else this.#taken += memory
  }

  take(process: Process): { beyond: number } | null {
    if (!this.free) return this.takeRoom(process.memory)
    this.#own--
    return { beyond: 0 }
  }

  takeRoom(memory: number): { beyond: number } | null {
    if (this.#turn.room.now - this.#taken < memory) return null
    this.#taken += memory
    return { beyond: memory }
  }

  /** Whether there may be so much room soon, and it is not yet `until`; then it is looked again. */
  hopes(memory: number, until = Number.POSITIVE_INFINITY): boolean {
    if (this.#turn.room.soon - this.#taken < memory || this.#turn.due(until)) return false
    this.#turn.due(this.#turn.now + LOOK_AGAIN)
    return true
  }
}

const LOOK_AGAIN = 2000

/** Drains so many web dynos that serve, at most, so that others can start in their place. Half of them stay. Returns how many. */
export function drainForRoom(most: number, { wanted, formation, kept, turn }: Scene): number {
  const web = webOf(wanted.serving)
  if (!web) return 0
  const up = formation.filter(
    ({ release, type, ordinal, state }) =>
      release === wanted.serving?.release && type === 'web' && ordinal <= web.quantity && state === 'up',
  )
  // Those that are to be replaced come first.
  up.sort((a, b) => Number(kept.has(a.id)) - Number(kept.has(b.id)) || b.ordinal - a.ordinal)
  const drained = up.slice(0, Math.max(0, Math.min(most, up.length - least(web, wanted.serial))))
  for (const { id } of drained) turn.steps.push({ do: 'drain', dyno: id })
  return drained.length
}

/** How many web dynos of a formation stay up when there is no room. */
export const least = ({ quantity }: Process, serial: boolean): number => (serial ? 0 : Math.ceil(quantity / 2))

export const webOf = (target: Target | null): Process | undefined =>
  target?.processes.find(({ type }) => type === 'web')
