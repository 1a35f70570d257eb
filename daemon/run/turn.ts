import type { Plan, Room, Seen, Step, Times } from './plan.ts'
import { type Slot, start } from './slot.ts'

/** Collects the steps of one plan, the earliest time at which something more is due, and what waits for room. */
export class Turn {
  readonly steps: Step[] = []
  readonly now: number
  readonly times: Times
  readonly #room: Room
  readonly #waiting: Slot[] = []
  #asked = false
  #wakeAt = Number.POSITIVE_INFINITY

  constructor(now: number, times: Times, room: Room) {
    this.now = now
    this.times = times
    this.#room = room
  }

  get room(): Room {
    this.#asked = true
    return this.#room
  }

  /** True when `at` is reached; otherwise remembers to look again then. */
  due(at: number): boolean {
    if (at <= this.now) return true
    this.#wakeAt = Math.min(this.#wakeAt, at)
    return false
  }

  /** Starts a dyno in a slot if it has a berth; whether it has. */
  startIn(slot: Slot, berth: { beyond: number; crashes?: number } | null): boolean {
    if (berth) this.steps.push(start(slot, berth))
    return berth !== null
  }

  wait(slots: Slot[]): void {
    this.#waiting.push(...slots)
  }

  /** Brings a dyno's state in line with its container. */
  observe(dyno: Seen): void {
    if (dyno.state === 'starting' || dyno.state === 'up' || dyno.state === 'draining') this.#observeContainer(dyno)
    if (dyno.state === 'crashed' && isAlone(dyno) && mayRun(dyno)) this.steps.push({ do: 'clear', dyno: dyno.id })
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
    } else if (
      state === 'starting' &&
      dyno.bootingSince !== null &&
      this.due(dyno.bootingSince + (dyno.bootTime ?? this.times.boot))
    ) {
      this.steps.push({ do: 'crashed', dyno: id, why: 'boot timeout' })
    }
  }

  /** Nothing fails for want of room in a turn in which something goes: that may leave it some. */
  result(): Plan {
    const going = this.steps.some((step) => step.do === 'stop' || step.do === 'drain')
    return {
      steps: going ? this.steps.filter((step) => step.do !== 'fail' || step.why !== 'room') : this.steps,
      wakeAt: Number.isFinite(this.#wakeAt) ? this.#wakeAt : null,
      waiting: this.#waiting,
      asked: this.#asked,
    }
  }
}

/** A start that failed may have left a container all the same, when only the engine's answer was lost. */
export const mayRun = ({ container }: Seen): boolean => container === 'failed' || container === 'running'

/** No other may run beside it in its slot. */
const isAlone = ({ type, oneOff }: Seen): boolean => type !== 'web' && type !== 'release' && oneOff === null

/** Routers have to do with it. */
export const routed = ({ type, oneOff }: Seen): boolean => type === 'web' && oneOff === null
