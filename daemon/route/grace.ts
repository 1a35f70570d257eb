import { limits } from '../limits.ts'

/**
 * How long a dyno may drain before it is stopped although routers have not said that it is drained, ms: as long as its tunnels may stay
 * and then need for their end, and no shorter than requests may take to their first byte. Who still has a request then loses nothing
 * yet: the router lets it go on, and the dyno has the time from SIGTERM to SIGKILL for it, as on Heroku.
 */
export const drainTime = (grace: number | undefined): number =>
  Math.max(limits.drain, grace ?? limits.drain) + limits.drainEnd
