import type { Agenda } from './agenda.ts'
import type { Code, Fate } from './history.ts'
import type { Container } from './witness.ts'

/** What is to be started. */
export interface Order {
  id: string
  release: string
  type: string
  ordinal: number
  /** Ends by itself with this code after so many ms; listens from so many ms on. */
  ends: { after: number; code: number } | null
  listens: number | null
  oneOff: boolean
}

interface Box extends Container {
  exitCode: number | null
  startedAt: number
  listensFrom: number
  cancel: () => void
}

export type Placed = Pick<Box, 'id' | 'running' | 'exitCode' | 'startedAt'>

export interface Listeners {
  /** A start failed, or so it seems. */
  failed(): void
  made(box: Container): void
  exited(box: Placed): void
}

/** What becomes of the next call, set by a history. */
export interface Fated {
  fate: Fate
  ms: number
}

const USUAL = 200
const TERM = 300

/**
 * An engine and its containers, as far as a plan can tell. Calls take time, and answer by callback; each may have a fate of its own. What
 * it was told it finishes, whoever dies meanwhile.
 */
export class Machine {
  readonly boxes = new Map<string, Box>()
  /** Fates of the next starts and stops. */
  readonly starts: Fated[] = []
  readonly ends: Fated[] = []
  private readonly agenda: Agenda
  private readonly on: Listeners
  /** Starts that were asked for by a daemon that may die. */
  private readonly going = new Set<{ order: Order; long: boolean; cancel: () => void }>()

  constructor(agenda: Agenda, on: Listeners) {
    this.agenda = agenda
    this.on = on
  }

  /** Safe to repeat: what is there stays. */
  start(order: Order, answer: (placed: Placed | null) => void): void {
    const { fate, ms } = this.starts.shift() ?? { fate: 'late', ms: USUAL }
    const going = { order, long: fate === 'late' && ms > USUAL, cancel: () => {} }
    this.going.add(going)
    going.cancel = this.agenda.after(fate === 'late' ? ms : USUAL, () => {
      this.going.delete(going)
      if (fate === 'refused') this.on.failed()
      else this.make(order)
      if (fate === 'unheard') this.on.failed()
      const box = this.boxes.get(order.id)
      answer(fate === 'late' && box ? placed(box) : null)
    })
  }

  /** The daemon has died: what it was starting is there, or never will be when it would have taken long. */
  abandon(): void {
    for (const { order, long, cancel } of this.going) {
      cancel()
      if (!long) this.make(order)
    }
    this.going.clear()
  }

  /** Ends it, if it is there, and removes it. */
  stop(id: string, grace: number, answer: (done: boolean) => void): void {
    const { fate, ms } = this.ends.shift() ?? { fate: 'late', ms: TERM }
    if (fate === 'refused') return void this.agenda.after(USUAL, () => answer(false))
    const runs = this.boxes.get(id)?.running
    const lasts = runs ? Math.min(grace, fate === 'late' ? ms : TERM) : 0
    this.agenda.after(lasts, () => this.exit(id, 143))
    this.agenda.after(lasts + 1, () => {
      this.remove(id)
      answer(fate !== 'unheard')
    })
  }

  list(): Placed[] {
    return [...this.boxes.values()].map(placed)
  }

  exit(id: string, code: number, unseen = false): void {
    const box = this.boxes.get(id)
    if (!box?.running) return
    box.cancel()
    Object.assign(box, { running: false, listens: false, exitCode: code, listensFrom: Number.POSITIVE_INFINITY })
    if (!unseen) this.on.exited(placed(box))
  }

  remove(id: string): void {
    this.boxes.get(id)?.cancel()
    this.boxes.delete(id)
  }

  private make({ ends, listens, ...what }: Order): void {
    if (this.boxes.has(what.id)) return
    const { now } = this.agenda
    const cancelEnd = ends ? this.agenda.after(ends.after, () => this.exit(what.id, ends.code)) : () => {}
    const cancelListen = listens === null ? () => {} : this.agenda.after(listens, () => this.listen(what.id))
    const box: Box = {
      ...{ ...what, running: true, listens: false, exitCode: null, startedAt: now },
      listensFrom: listens === null ? Number.POSITIVE_INFINITY : now + listens,
      cancel() {
        cancelEnd()
        cancelListen()
      },
    }
    this.boxes.set(what.id, box)
    this.on.made(box)
  }

  private listen(id: string): void {
    const box = this.boxes.get(id)
    if (box?.running) box.listens = true
  }
}

const placed = ({ id, running, exitCode, startedAt }: Box): Placed => ({ id, running, exitCode, startedAt })

const BOOT = 1000
const SLOW = 20_000

/** How a web dyno of this code boots; `nth`: how many of it have been started before. */
export function boots(code: Code, nth: number): Pick<Order, 'ends' | 'listens'> {
  const crash = { ends: { after: BOOT / 2, code: 1 }, listens: null }
  switch (code.boot) {
    case 'well':
      return { ends: null, listens: BOOT }
    case 'slow':
      return { ends: null, listens: SLOW }
    case 'deaf':
      return { ends: null, listens: null }
    case 'crashes':
      return crash
    case 'one crashes':
      return nth % 2 === 1 ? crash : { ends: null, listens: BOOT }
    default:
      return code.boot satisfies never
  }
}

/** How a release command goes. */
export const runs = (code: Code): Pick<Order, 'ends' | 'listens'> => ({
  ends: code.command === 'hangs' ? null : { after: BOOT, code: code.command === 'fails' ? 1 : 0 },
  listens: null,
})
