import type { Selectable } from 'kysely'
import { defaultSize } from '../limits.ts'
import type { DbOrTx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import { rowsOf } from './formation.ts'
import type { Candidate, Process, Target, Wanted } from './plan.ts'
import { candidateRollout, type Rollout, servingRollout } from './rollout.ts'

type App = Selectable<Schema['apps']>
type Slug = Selectable<Schema['slugs']>

/** Reads from the rows what is wanted of one app now; an app that is being destroyed wants nothing. */
export async function desired(
  db: DbOrTx,
  app: App,
): Promise<Omit<Wanted, 'candidate'> & { candidate: UnroutedCandidate | null }> {
  if (app.destroyed_at !== null) return { serving: null, candidate: null, destroyed: true }
  const serving = await servingRollout(db, app.id)
  const candidate = await candidateRollout(db, app.id)
  return {
    serving: serving ? await targetOf(db, serving) : null,
    candidate: candidate ? await candidateOf(db, candidate) : null,
    destroyed: false,
  }
}

/** A candidate of which it is not known yet what the routers say. */
export type UnroutedCandidate = Omit<Candidate, 'acknowledged'>

async function targetOf(db: DbOrTx, rollout: Rollout): Promise<Target> {
  return { release: rollout.release_id, version: rollout.version, processes: await processesOf(db, rollout) }
}

async function candidateOf(db: DbOrTx, rollout: Rollout): Promise<UnroutedCandidate> {
  const { state } = rollout
  if (state === 'succeeded' || state === 'failed')
    throw new Error(`v${rollout.version} is settled and cannot be a candidate`)
  const command = (await commandsOf(db, rollout.release_id)).release ?? null
  const commandSize = (await rowsOf(db, rollout.app_id)).get('release')?.size ?? defaultSize
  return { ...(await targetOf(db, rollout)), state, command, commandSize }
}

async function processesOf(db: DbOrTx, rollout: Rollout): Promise<Process[]> {
  const formation = await rowsOf(db, rollout.app_id)
  return Object.entries(await commandsOf(db, rollout.release_id)).flatMap(([type, command]) => {
    const row = formation.get(type)
    return type !== 'release' && row && row.quantity > 0
      ? [{ type, command, size: row.size, quantity: row.quantity }]
      : []
  })
}

/** The commands of the process types of a release. */
export async function commandsOf(db: DbOrTx, release: string): Promise<Record<string, string>> {
  const slug = await slugOf(db, release)
  return slug ? JSON.parse(slug.process_types) : {}
}

/** The slug of a release, if it has code. */
export const slugOf = (db: DbOrTx, release: string): Promise<Slug | undefined> =>
  db
    .selectFrom('releases')
    .innerJoin('slugs', 'slugs.id', 'releases.slug_id')
    .selectAll('slugs')
    .where('releases.id', '=', release)
    .executeTakeFirst()
