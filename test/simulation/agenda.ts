import type { Clock } from '../../daemon/clock.ts'

const LIST_AGAIN = 30_000

interface Entry {
  at: number
  act: () => void
  /** Goes on for ever, so that nothing is under way while only such are left. */
  idle: boolean
}

/** What happens when, in simulated time: one thing after the other, those of the same moment in the order in which they were entered. */
export class Agenda {
  /** True time, ms. It never jumps. */
  now = 0
  /** What clocks show on top. */
  offset = 1_700_000_000_000
  private readonly entries: Entry[] = []
  private busy = 0

  /** Enters something for so many ms from now; the returned function takes it out again. */
  after(delay: number, act: () => void, idle = false): () => void {
    const entry = { at: this.now + Math.max(0, delay), act, idle }
    let low = 0
    let high = this.entries.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.entries[middle] as Entry).at > entry.at) low = middle + 1
      else high = middle
    }
    this.entries.splice(low, 0, entry)
    if (!idle) this.busy++
    return () => {
      const index = this.entries.indexOf(entry)
      if (index === -1) return
      this.entries.splice(index, 1)
      if (!idle) this.busy--
    }
  }

  /** When the next thing happens. */
  get next(): number | undefined {
    return this.entries.at(-1)?.at
  }

  /** Only what goes on for ever is left. */
  get quiet(): boolean {
    return this.busy === 0
  }

  /** Goes to the next thing and does it. */
  step(): void {
    const entry = this.entries.pop()
    if (entry === undefined) return
    if (!entry.idle) this.busy--
    this.now = Math.max(this.now, entry.at)
    entry.act()
  }

  /** The same for who looks every half minute, for ever. */
  readonly listing: Clock = {
    now: () => this.clock.now(),
    at: (at, wake) => this.after(at - this.clock.now(), wake, at - this.clock.now() >= LIST_AGAIN),
  }

  /** The daemon's clock, whose alarms ring after a true time, as timers do. */
  readonly clock: Clock = {
    now: () => this.now + this.offset,
    at: (at, wake) => this.after(at - this.now - this.offset, wake),
  }
}
