import type { Clock } from '../../daemon/clock.ts'

export interface StillClock extends Clock {
  /** Moves it, and rings what is due on the way, in order. */
  pass(ms: number): void
}

/** A clock that stands until it is moved. */
export function createStillClock(start = 0): StillClock {
  let now = start
  const alarms = new Set<{ at: number; wake: () => void }>()
  return {
    now: () => now,
    at(at, wake) {
      const alarm = { at, wake }
      alarms.add(alarm)
      return () => alarms.delete(alarm)
    },
    pass(ms) {
      const end = now + ms
      for (;;) {
        const [first] = [...alarms].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
        if (!first) break
        alarms.delete(first)
        now = Math.max(now, first.at)
        first.wake()
      }
      now = end
    },
  }
}
