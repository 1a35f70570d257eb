import type { Receipt } from '../../router/protocol.ts'
import { limits } from '../limits.ts'

interface Told {
  /** By router, each its last word: it repeats itself with every table, and knows more when the last request has ended. */
  by: Map<string, Receipt>
  taken: boolean
}

/** What routers have told of the drains of dynos that are there. In memory: with the daemon goes a receipt at most. */
export class Receipts {
  private readonly told = new Map<string, Told>()

  note(dyno: string, router: string, receipt: Receipt): void {
    this.entry(dyno).by.set(router, receipt)
    // Nobody forgets dynos that never were.
    for (const id of this.told.keys()) {
      if (this.told.size <= limits.receiptsHeld) break
      this.told.delete(id)
    }
  }

  /** The sum over all routers; null when none has told anything. */
  of(dyno: string): Receipt | null {
    const by = this.told.get(dyno)?.by
    return by === undefined || by.size === 0 ? null : sum([...by.values()])
  }

  /** The same, for one who asks first; null from then on. */
  take(dyno: string): Receipt | null {
    const entry = this.entry(dyno)
    if (entry.taken) return null
    entry.taken = true
    return this.of(dyno)
  }

  taken(dyno: string): boolean {
    return this.told.get(dyno)?.taken === true
  }

  /** The dyno is gone. */
  forget(dyno: string): void {
    this.told.delete(dyno)
  }

  private entry(dyno: string): Told {
    const entry = this.told.get(dyno) ?? { by: new Map(), taken: false }
    this.told.set(dyno, entry)
    return entry
  }
}

/** Of several routers or dynos, which drain side by side. */
export const sum = (receipts: readonly Receipt[]): Receipt =>
  receipts.reduce(
    (all, one) => ({
      inFlight: all.inFlight + one.inFlight,
      finished: all.finished + one.finished,
      cut: all.cut + one.cut,
      failed: all.failed + one.failed,
      took: Math.max(all.took, one.took),
    }),
    { inFlight: 0, finished: 0, cut: 0, failed: 0, took: 0 },
  )
