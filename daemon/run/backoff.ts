/**
 * How long a crashed dyno waits before it is started again: not at all after the first crash, then ten seconds, doubling up to
 * twenty minutes. Heroku's cool-off is "up to" 20 minutes, then longer ones, up to 320 (https://devcenter.heroku.com/articles/dyno-restarts); it
 * ends with a release, a restart, or scaling to 0 and back. So it does here, because the dynos are new then.
 */
export function backoff(crashes: number): number {
  return crashes <= 1 ? 0 : Math.min(LONGEST, FIRST * 2 ** (crashes - 2))
}

/** Crashes in a row: a dyno that had been up this long starts to count anew. */
export const crashesAfter = (before: number, upFor: number): number => (upFor >= STABLE ? 1 : before + 1)

const FIRST = 10_000
const LONGEST = 20 * 60_000
const STABLE = 10 * 60_000
