import type { Selectable } from 'kysely'
import { figures } from '../figures.ts'
import { turnOfRollout } from '../route/candidate.ts'
import { type Db, type DbOrTx, decide, type Tx } from '../store/database.ts'
import type { RolloutState, Schema } from '../store/schema.ts'
import { note } from '../webhook/event.ts'

/**
 * The way of a release to the public. One row a release; one of the unsettled ones of an app is its candidate (`turnOfRollout`), the newest
 * succeeded one serves.
 *
 *   waiting -- has a release command --> phase -- exit 0 --> booting -- all web dynos up --> cutover -- every router --> succeeded
 *      |  has none                         |                  ^  |                             |      acknowledged
 *      +-----------------------------------|------------------+  |                             |
 *                                          +---> failed <--------+-----------------------------+
 *                                                  (also: abandoned by the push, or by a restart of the daemon when attended;
 *                                                  superseded, when a later release succeeds; with the one whose code it has)
 *
 * (all web dynos up: without room for all beside the old ones, those that had room; the rest starts once it has succeeded. Without room for
 * one it fails.)
 *
 * waiting, phase, booting: the release gets no request. cutover: routers are told to send requests to it and to nobody else; going
 * back means telling them the old table. succeeded, failed: final. A release without slug has nothing to roll out: born succeeded.
 *
 * A later release takes the turn of one that waits or boots, whose dynos go then. It has what that one brought, for it is based on it, so
 * that one is superseded when the later one succeeds. When the later one fails it has its turn again, and begins to boot anew.
 *
 * Those that have its code, as config changes have that were made meanwhile, or a part of it, as the release of one image has, fall with one
 * that fails or is abandoned: code that was called off does not go live by them. What was changed of the config is released again without it
 * (release/failure.ts). One is abandoned only before it, and all that have its code, come to the cutover.
 */
export type Rollout = Selectable<Schema['rollouts']>

const UNSETTLED: RolloutState[] = ['waiting', 'phase', 'booting', 'cutover']

export const beginRollout = (
  tx: Tx,
  release: { id: string; app_id: string; version: number; created_at: number },
  options: { attended: boolean; settled: boolean },
): Promise<unknown> =>
  tx
    .insertInto('rollouts')
    .values({
      release_id: release.id,
      app_id: release.app_id,
      version: release.version,
      state: options.settled ? 'succeeded' : 'waiting',
      attended: options.attended ? 1 : 0,
      reason: null,
      superseded_by: null,
      created_at: release.created_at,
      updated_at: release.created_at,
    })
    .execute()

/** The release that serves: the newest that succeeded. */
export const servingRollout = (db: DbOrTx, app: string): Promise<Rollout | undefined> =>
  db
    .selectFrom('rollouts')
    .selectAll()
    .where('app_id', '=', app)
    .where('state', '=', 'succeeded')
    .orderBy('version', 'desc')
    .limit(1)
    .executeTakeFirst()

/** The release that is on its way. */
export const candidateRollout = (db: DbOrTx, app: string): Promise<Rollout | undefined> =>
  db
    .selectFrom('rollouts')
    .selectAll()
    .where('app_id', '=', app)
    .where('state', 'in', UNSETTLED)
    .orderBy(turnOfRollout, 'desc')
    .limit(1)
    .executeTakeFirst()

/**
 * The release that a one-off dyno runs: the newest that serves or is on its way there with its release command behind it. A push that
 * is still being waited for does not count, config vars that were just set do. Undefined when it has no code.
 */
export async function runnableRelease(
  db: DbOrTx,
  app: string,
): Promise<{ id: string; version: number; commands: Record<string, string> } | undefined> {
  const row = await db
    .selectFrom('rollouts')
    .innerJoin('releases', 'releases.id', 'rollouts.release_id')
    .leftJoin('slugs', 'slugs.id', 'releases.slug_id')
    .select(['releases.id', 'releases.version', 'slugs.process_types'])
    .where('rollouts.app_id', '=', app)
    .where((where) => where.or([where('rollouts.state', '=', 'succeeded'), where('attended', '=', 0)]))
    .where((where) =>
      where.or([
        where('rollouts.state', 'in', ['booting', 'cutover', 'succeeded']),
        where.and([where('rollouts.state', '=', 'waiting'), where('slugs.process_types', 'not like', '%"release":%')]),
      ]),
    )
    .orderBy('rollouts.version', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row?.process_types ? { id: row.id, version: row.version, commands: JSON.parse(row.process_types) } : undefined
}

/** Moves a rollout on; undefined when it was settled in the meantime, else those that it has superseded by that. */
export async function advanceRollout(
  db: Db,
  release: string,
  to: RolloutState,
  now: number,
): Promise<Rollout[] | undefined> {
  const moved = await decide(db, async (tx) => {
    const before = await tx.selectFrom('rollouts').selectAll().where('release_id', '=', release).executeTakeFirst()
    const { numUpdatedRows } = await tx
      .updateTable('rollouts')
      .set({ state: to, updated_at: now })
      .where('release_id', '=', release)
      .where('state', 'in', UNSETTLED)
      .executeTakeFirst()
    if (!before || numUpdatedRows === 0n) return undefined
    if (to !== 'succeeded') return { before, superseded: [] }
    await noteSettled(tx, release, to, now)
    return { before, superseded: await supersede(tx, before, now) }
  })
  if (moved && to === 'succeeded') {
    const { state, updated_at } = moved.before
    figures.releases.add({ result: 'succeeded' })
    for (const _ of moved.superseded) figures.releases.add({ result: 'superseded' })
    if (state === 'cutover') figures.cutovers.observe({}, Math.max(0, now - updated_at) / 1000)
  }
  return moved?.superseded
}

/** Settles those on their way that are older than one that has come to serve. */
async function supersede(tx: Tx, { app_id, version }: Rollout, now: number): Promise<Rollout[]> {
  const superseded = await tx
    .updateTable('rollouts')
    .set({ state: 'failed', reason: supersededBy(version), superseded_by: version, updated_at: now })
    .where('app_id', '=', app_id)
    .where('version', '<', version)
    .where('state', 'in', UNSETTLED)
    .returningAll()
    .execute()
  for (const { release_id } of superseded) await noteSettled(tx, release_id, 'expired', now)
  return superseded
}

const supersededBy = (version: number): string =>
  `v${version} was released later, was up first, and serves in its place.`

/**
 * Settles a rollout as failed, with those on their way that have its code; all of them, itself first. None when it was settled before. With
 * `before`, only when none of them has come to that state.
 */
export async function failRollout(
  tx: Tx,
  release: string,
  reason: string,
  { now, before }: { now: number; before?: 'cutover' | undefined },
): Promise<Rollout[]> {
  const row = await tx.selectFrom('rollouts').selectAll().where('release_id', '=', release).executeTakeFirst()
  if (!row || !UNSETTLED.includes(row.state)) return []
  const falling = [row, ...(await carriersOf(tx, row))]
  if (falling.some(({ state }) => state === before)) return []
  for (const { release_id, version } of falling) {
    const why = version === row.version ? reason : sharedCode(row.version)
    await tx
      .updateTable('rollouts')
      .set({ state: 'failed', reason: why, updated_at: now })
      .where('release_id', '=', release_id)
      .execute()
    await noteSettled(tx, release_id, 'failed', now)
  }
  await beginAnew(tx, row.app_id, now)
  return falling
}

const sharedCode = (version: number): string => `It has the code of v${version}, which failed.`

/** Those on their way that have the code of a release, or a part of it, or of one that has. */
async function carriersOf(tx: Tx, { app_id, version }: Rollout): Promise<Rollout[]> {
  const later = await tx
    .selectFrom('rollouts')
    .innerJoin('releases', 'releases.id', 'rollouts.release_id')
    .selectAll('rollouts')
    .select(['releases.code_version', 'releases.keeps_version'])
    .where('rollouts.app_id', '=', app_id)
    .where('rollouts.version', '>', version)
    .where('rollouts.state', 'in', UNSETTLED)
    .orderBy('rollouts.version')
    .execute()
  const falling = new Set<number | null>([version])
  return later.filter((one) => {
    const falls = falling.has(one.code_version) || falling.has(one.keeps_version)
    if (falls) falling.add(one.version)
    return falls
  })
}

/** Whoever has waited since it began to boot has all its time again. */
const beginAnew = (tx: Tx, app: string, now: number): Promise<unknown> =>
  tx.updateTable('rollouts').set({ updated_at: now }).where('app_id', '=', app).where('state', '=', 'booting').execute()

async function noteSettled(tx: Tx, id: string, status: 'succeeded' | 'failed' | 'expired', now: number): Promise<void> {
  const release = await tx
    .selectFrom('releases')
    .select(['app_id', 'account_id'])
    .where('id', '=', id)
    .executeTakeFirst()
  if (!release) return
  const news = {
    app: release.app_id,
    account: { id: release.account_id },
    include: 'api:release',
    action: 'update',
  } as const
  await note(tx, { ...news, subject: { id, status }, previous: { id, status: 'pending' }, now })
}

/** The releases on their way that a push waits for, or waited for when the daemon died. */
export const attendedRollouts = (db: Db): Promise<Rollout[]> =>
  db.selectFrom('rollouts').selectAll().where('attended', '=', 1).where('state', 'in', UNSETTLED).execute()

/** Lets those who wait for a rollout know that its row has changed. */
export interface Settlements {
  announce(release: string): void
  /** Calls `changed` at every announcement; the returned function ends it. */
  subscribe(release: string, changed: () => void): () => void
}

export function createSettlements(): Settlements {
  const listeners = new Map<string, Set<() => void>>()
  return {
    announce(release) {
      for (const changed of listeners.get(release) ?? []) changed()
    },
    subscribe(release, changed) {
      const set = listeners.get(release) ?? new Set()
      listeners.set(release, set.add(changed))
      return () => {
        set.delete(changed)
        if (set.size === 0) listeners.delete(release)
      }
    },
  }
}
