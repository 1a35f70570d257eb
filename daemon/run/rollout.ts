import type { Selectable } from 'kysely'
import { figures } from '../figures.ts'
import { type Db, type DbOrTx, decide, type Tx } from '../store/database.ts'
import type { RolloutState, Schema } from '../store/schema.ts'
import { note } from '../webhook/event.ts'

/**
 * The way of a release to the public. One row a release; the oldest unsettled one of an app is its candidate, the newest
 * succeeded one serves.
 *
 *   waiting -- has a release command --> phase -- exit 0 --> booting -- all web dynos up --> cutover -- every router --> succeeded
 *      |  has none                         |                  ^  |                             |      acknowledged
 *      +-----------------------------------|------------------+  |                             |
 *                                          +---> failed <--------+-----------------------------+
 *                                                  (also: abandoned by the push, or by a restart of the daemon when attended)
 *
 * (all web dynos up: without room for all beside the old ones, those that had room; the rest starts once it has succeeded. Without room for
 * one it fails.)
 *
 * waiting, phase, booting: the release gets no request. cutover: routers are told to send requests to it and to nobody else; going
 * back means telling them the old table. succeeded, failed: final. A release without slug has nothing to roll out: born succeeded.
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

/** The release that is on its way: the oldest unsettled. */
export const candidateRollout = (db: DbOrTx, app: string): Promise<Rollout | undefined> =>
  db
    .selectFrom('rollouts')
    .selectAll()
    .where('app_id', '=', app)
    .where('state', 'in', UNSETTLED)
    .orderBy('version')
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

/** Moves a rollout on; false when it was settled in the meantime. */
export async function advanceRollout(db: Db, release: string, to: RolloutState, now: number): Promise<boolean> {
  const before = await decide(db, async (tx) => {
    const before = await tx
      .selectFrom('rollouts')
      .select(['state', 'updated_at as since'])
      .where('release_id', '=', release)
      .executeTakeFirst()
    const { numUpdatedRows } = await tx
      .updateTable('rollouts')
      .set({ state: to, updated_at: now })
      .where('release_id', '=', release)
      .where('state', 'in', UNSETTLED)
      .executeTakeFirst()
    if (numUpdatedRows > 0n && to === 'succeeded') await noteSettled(tx, release, to, now)
    return numUpdatedRows > 0n ? before : undefined
  })
  if (before && to === 'succeeded') {
    figures.releases.add({ result: 'succeeded' })
    if (before.state === 'cutover') figures.cutovers.observe({}, Math.max(0, now - before.since) / 1000)
  }
  return before !== undefined
}

/** Settles a rollout as failed; false when it was settled before. With `before`, only in a state that comes before it. */
export async function failRollout(
  db: Db,
  release: string,
  reason: string,
  { now, before }: { now: number; before?: 'cutover' },
): Promise<boolean> {
  const failed = await decide(db, async (tx) => {
    const { numUpdatedRows } = await tx
      .updateTable('rollouts')
      .set({ state: 'failed', reason, updated_at: now })
      .where('release_id', '=', release)
      .where('state', 'in', before ? UNSETTLED.filter((state) => state !== before) : UNSETTLED)
      .executeTakeFirst()
    if (numUpdatedRows > 0n) await noteSettled(tx, release, 'failed', now)
    return numUpdatedRows > 0n
  })
  if (failed) figures.releases.add({ result: 'failed' })
  return failed
}

async function noteSettled(tx: Tx, id: string, status: 'succeeded' | 'failed', now: number): Promise<void> {
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

/** At start of the daemon: pushes that it was waiting on have been told that they failed, so their releases must not go live. */
export async function failAttended(db: Db, now: number): Promise<void> {
  const waiting = db
    .selectFrom('rollouts')
    .select('release_id')
    .where('attended', '=', 1)
    .where('state', 'in', UNSETTLED)
  for (const { release_id } of await waiting.execute())
    await failRollout(db, release_id, 'The platform was restarted during this deploy. Push again.', { now })
}

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
