import { limits } from '../limits.ts'

/**
 * When a dyno of a formation is replaced, ms: a day after it was made, and up to 216 minutes later, as on Heroku, so that those of an app
 * do not go together (https://devcenter.heroku.com/articles/dyno-restarts#daily-restarts). It is the same whenever it is asked, because
 * the random part is in the dyno's id; a restart or a release makes new dynos, and so begins anew.
 */
export const cycleAt = ({ id, created_at }: { id: string; created_at: number }): number =>
  created_at + limits.cycle + Math.floor((Number.parseInt(id.slice(0, 8), 16) / 2 ** 32) * limits.cycleSpread)
