import { systemClock, within } from '../clock.ts'
import { createSlots } from '../engine/slots.ts'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'

/**
 * Promotions and set-ups go on after their request was answered. Rows say how far each has come, so that the next start of the daemon
 * goes on with those that this one did not end.
 */
export interface Underway {
  /** `work` is to end soon after its signal aborts, and leaves its rows pending then. */
  begin(what: string, id: string, work: (signal: AbortSignal) => Promise<void>): void
  /** What takes the machine's time: so many of a kind at once, the rest in the order of their calls. */
  inTurn<T>(kind: 'copy' | 'set-up', task: () => Promise<T>, signal: AbortSignal): Promise<T>
  /** Aborts what works and gives it `limits.underwayStop` to end. */
  stop(): Promise<void>
}

export function createUnderway(log: Log): Underway {
  const slots = { copy: createSlots(limits.copiesAtOnce), 'set-up': createSlots(limits.setupsAtOnce) }
  const stopping = new AbortController()
  const { signal } = stopping
  const working = new Set<Promise<void>>()
  return {
    begin(what, id, work) {
      if (signal.aborted) return
      const done = work(signal)
        .catch((error: unknown) => {
          if (!signal.aborted) log.error(`a ${what} broke off`, { id, error })
        })
        .finally(() => working.delete(done))
      working.add(done)
    },
    inTurn: (kind, task, signal) => slots[kind](task, signal),
    async stop() {
      stopping.abort(new Error('the daemon is stopping'))
      await within(systemClock, limits.underwayStop, Promise.all(working))
    },
  }
}
