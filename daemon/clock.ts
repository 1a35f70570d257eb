/** Time as a seam, so that `run/` can be tested over hours in milliseconds. All times are milliseconds since the epoch. */
export interface Clock {
  now(): number
  /** Calls `wake` once at or after `at`; the returned function cancels it. */
  at(at: number, wake: () => void): () => void
}

/** The longest delay that `setTimeout` takes; a later alarm is set again when it rings. */
const LONGEST_DELAY = 2 ** 31 - 1

export const systemClock: Clock = {
  now: Date.now,
  at(at, wake) {
    let timer: NodeJS.Timeout
    const set = () => {
      const delay = Math.max(0, at - Date.now())
      timer = setTimeout(delay > LONGEST_DELAY ? set : wake, Math.min(delay, LONGEST_DELAY))
    }
    set()
    return () => clearTimeout(timer)
  },
}

/** Resolves with `work`, or without it after `ms`. */
export function within(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      cancel()
      resolve()
    }
    const cancel = clock.at(clock.now() + ms, resolve)
    work.then(done, done)
  })
}
