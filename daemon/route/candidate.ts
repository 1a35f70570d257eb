import { sql } from 'kysely'

/**
 * Whose turn it is of an app's releases that are on their way, first in descending order: what has begun its release command or its cutover
 * comes to an end, and else the newest goes first, so that one which does not boot keeps nobody waiting who repairs it.
 */
export const turnOfRollout = sql<number>`iif(rollouts.state in ('phase', 'cutover'), 1e9, 0) + rollouts.version`
