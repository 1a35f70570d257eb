import type { Selectable } from 'kysely'
import type { DbOrTx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import { isSerial } from './beside.ts'
import { resourcesOf } from './environment.ts'
import { rowsOf } from './formation.ts'
import type { Candidate, Process, Target, Wanted } from './plan.ts'
import { candidateRollout, type Rollout, servingRollout } from './rollout.ts'
import { defaultSize } from './size.ts'

type App = Selectable<Schema['apps']>
type Slug = Selectable<Schema['slugs']>

/** Reads from the rows what is wanted of one app now; an app that is being destroyed wants nothing. */
export async function desired(
  db: DbOrTx,
  app: App,
): Promise<Omit<Wanted, 'candidate'> & { candidate: UnroutedCandidate | null }> {
  if (app.destroyed_at !== null) return { serving: null, candidate: null, destroyed: true, serial: false }
  const serving = await servingRollout(db, app.id)
  const candidate = await candidateRollout(db, app.id)
  const formation = await rowsOf(db, app.id)
  return {
    serving: serving ? targetOf(serving, formation, await commandsOf(db, serving.release_id)) : null,
    candidate: candidate ? candidateOf(candidate, formation, await commandsOf(db, candidate.release_id)) : null,
    destroyed: false,
    serial: await isSerial(db, app.id),
  }
}

type Formation = Awaited<ReturnType<typeof rowsOf>>
type Commands = Record<string, string>

/** A candidate of which it is not known yet what the routers say. */
export type UnroutedCandidate = Omit<Candidate, 'acknowledged'>

function targetOf(rollout: Rollout, formation: Formation, commands: Commands): Target {
  return { release: rollout.release_id, version: rollout.version, processes: processesOf(formation, commands) }
}

function candidateOf(rollout: Rollout, formation: Formation, commands: Commands): UnroutedCandidate {
  const { state } = rollout
  if (state === 'succeeded' || state === 'failed')
    throw new Error(`v${rollout.version} is settled and cannot be a candidate`)
  const command = commands.release ?? null
  const commandSize = formation.get('release')?.size ?? defaultSize
  const commandMemory = resourcesOf(commandSize).memory
  const target = targetOf(rollout, formation, commands)
  return { ...target, state, command, commandSize, commandMemory, since: rollout.updated_at }
}

const processesOf = (formation: Formation, commands: Commands): Process[] =>
  Object.entries(commands).flatMap(([type, command]) => {
    const row = formation.get(type)
    return type !== 'release' && row && row.quantity > 0
      ? [{ type, command, size: row.size, memory: resourcesOf(row.size).memory, quantity: row.quantity }]
      : []
  })

/** The commands of the process types of a release. */
export async function commandsOf(db: DbOrTx, release: string): Promise<Commands> {
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
