import type { Daemon } from '../../daemon.ts'
import { UserError } from '../../errors.ts'
import { failpoint } from '../../failpoint.ts'
import type { DbOrTx } from '../../store/database.ts'
import type { RolloutState } from '../../store/schema.ts'
import { betweenBuilds } from '../build.ts'
import { deleteSlugs, type Remains, removeDeleted, removeSlug } from './slug.ts'

/** A release with a slug that is not deleted. */
export interface Use {
  slug: string
  version: number
  state: RolloutState
  /** A dyno of it lives, whatever it does. */
  runs: boolean
}

/** Why a slug of an app is kept; the first that holds. */
export type Why = 'serves' | 'on its way' | 'a dyno runs it' | 'newest' | 'rollback'

/**
 * Pure. The slugs of an app that something needs, and why: that of the release that serves, of those on their way, of every living dyno, of
 * the newest release (a failed one is tried again), and `rollbacks` slugs of the releases that succeeded, newest first. Slugs are counted,
 * not releases: ten changes of config vars take no code away. The others may be deleted.
 */
export function keptSlugs(uses: readonly Use[], rollbacks: number): Map<string, Why> {
  const kept = new Map<string, Why>()
  const keep = (use: Use | undefined, why: Why): void => {
    if (use && !kept.has(use.slug)) kept.set(use.slug, why)
  }
  const newest = uses.toSorted((a, b) => b.version - a.version)
  const succeeded = newest.filter(({ state }) => state === 'succeeded')
  keep(succeeded[0], 'serves')
  for (const use of newest) if (use.state !== 'succeeded' && use.state !== 'failed') keep(use, 'on its way')
  for (const use of newest) if (use.runs) keep(use, 'a dyno runs it')
  keep(newest[0], 'newest')
  const back = new Set(succeeded.map(({ slug }) => slug))
  for (const slug of [...back].slice(0, rollbacks)) if (!kept.has(slug)) kept.set(slug, 'rollback')
  return kept
}

/** What `keptSlugs` decides of. */
export async function usesOf(db: DbOrTx, app: string): Promise<Use[]> {
  const rows = await db
    .selectFrom('releases')
    .innerJoin('rollouts', 'rollouts.release_id', 'releases.id')
    .innerJoin('slugs', 'slugs.id', 'releases.slug_id')
    .select(['slugs.id as slug', 'releases.version', 'rollouts.state'])
    .select(({ exists, selectFrom }) =>
      exists(selectFrom('dynos').select('dynos.id').whereRef('dynos.release_id', '=', 'releases.id')).as('runs'),
    )
    .where('releases.app_id', '=', app)
    .where('slugs.deleted_at', 'is', null)
    .execute()
  return rows.map((row) => ({ ...row, runs: Boolean(row.runs) }))
}

/** A slug that was deleted, and the newest release that had it. */
export interface Deleted extends Remains {
  version: number
}

/**
 * Deletes the slugs of an app that nothing needs, when it has more than `rollbacks` to go back to; at most `most` of them, oldest first. Rows
 * first, in one decision, so that a rollback, a promotion or a build either has the slug before or is told that it is gone; then files and
 * images. While something is built of the app nothing goes, because a build may come out as a slug that there is. What a crash leaves
 * goes at the next start, what the engine refuses with the next hour.
 */
export async function deleteSuperfluous(
  d: Daemon,
  app: string,
  { rollbacks, most = Number.POSITIVE_INFINITY }: { rollbacks: number; most?: number },
): Promise<Deleted[]> {
  const deleted = await betweenBuilds(d, { id: app, name: app }, async (tx) => {
    const uses = await usesOf(tx, app)
    const kept = keptSlugs(uses, rollbacks)
    const versions = new Map<string, number>()
    for (const { slug, version } of uses)
      if (!kept.has(slug)) versions.set(slug, Math.max(version, versions.get(slug) ?? 0))
    const ids = [...versions]
      .sort(([, a], [, b]) => a - b)
      .map(([id]) => id)
      .slice(0, most)
    if (ids.length === 0) return []
    const rows = await tx.selectFrom('slugs').select(['id', 'files', 'images']).where('id', 'in', ids).execute()
    await deleteSlugs(tx, ids, d.clock.now())
    return rows.map((row) => ({ ...row, version: versions.get(row.id) ?? 0 }))
  }).catch((error: unknown) => {
    if (error instanceof UserError) return []
    throw error
  })
  if (deleted.length > 0) await failpoint('slugs.deleted')
  for (const slug of deleted) if (slug.images !== null) await removeSlug(d, slug)
  await removeDeleted(d, app)
  return deleted
}
