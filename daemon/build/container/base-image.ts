import type { Daemon } from '../../daemon.ts'
import { limits } from '../../limits.ts'
import { type DbOrTx, decide } from '../../store/database.ts'

/**
 * Images that a Dockerfile begins with (`FROM node:22`) and that this platform has fetched; what the host had before is everybody's, and
 * is neither noted nor removed.
 *
 *   (fetchNoted) --> unused -- a build succeeds with it (useBases) --> used
 *                      ^ |                                             |
 *                      | +-- for a while, or disk is short (dropBase) --> gone
 *                      +-- the app's next build begins with others, or the app goes
 */
export interface BaseImage {
  /** As the engine is asked for it, with a tag or a digest. */
  reference: string
  /** What it stood for when it was fetched; empty until it is. */
  image: string
  size: number
  used_at: number
  /** Apps whose newest build begins with it. */
  uses: number
}

/** Fetches it. The row comes first, so that an image which is there after a crash is known; one that could not be fetched has none. */
export async function fetchNoted(d: Daemon, reference: string, fetch: () => Promise<string>): Promise<void> {
  const now = d.clock.now()
  const row = { reference, image: '', size: 0, used_at: now, created_at: now }
  await d.db
    .insertInto('base_images')
    .values(row)
    .onConflict((known) => known.column('reference').doUpdateSet(row))
    .execute()
  try {
    const image = await fetch()
    const size = (await d.engine.images.inspect(image))?.size ?? 0
    await d.db.updateTable('base_images').set({ image, size }).where('reference', '=', reference).execute()
  } catch (error) {
    await d.db.deleteFrom('base_images').where('reference', '=', reference).execute()
    throw error
  }
}

/** A build begins with it: it stays for now, if it is one of ours. */
export const touchBase = (d: Daemon, reference: string): Promise<unknown> =>
  d.db.updateTable('base_images').set({ used_at: d.clock.now() }).where('reference', '=', reference).execute()

/** The app's newest build begins with these; those of its build before may go. */
export const useBases = (d: Daemon, app: string, references: Iterable<string>): Promise<void> =>
  decide(d.db, async (tx) => {
    await tx.deleteFrom('base_image_uses').where('app_id', '=', app).execute()
    const known = tx
      .selectFrom('base_images')
      .select('reference')
      .where('reference', 'in', [...references, ''])
    const rows = (await known.execute()).map(({ reference }) => ({ app_id: app, reference }))
    if (rows.length === 0) return
    const ours = rows.map(({ reference }) => reference)
    await tx.updateTable('base_images').set({ used_at: d.clock.now() }).where('reference', 'in', ours).execute()
    await tx.insertInto('base_image_uses').values(rows).execute()
  })

/** Used longest ago first. */
export const baseImages = (db: DbOrTx): Promise<BaseImage[]> =>
  db
    .selectFrom('base_images')
    .leftJoin('base_image_uses', 'base_image_uses.reference', 'base_images.reference')
    .select(['base_images.reference', 'base_images.image', 'base_images.size', 'base_images.used_at'])
    .select(({ fn }) => fn.count<number>('base_image_uses.app_id').as('uses'))
    .groupBy('base_images.reference')
    .orderBy('base_images.used_at')
    .execute()

/** Whether it may go now: no newest build begins with it, and no build that goes on may have just fetched it. */
export const isUnused = (d: Pick<Daemon, 'clock'>, { uses, used_at }: BaseImage): boolean =>
  uses === 0 && d.clock.now() - used_at > limits.sweep

/** Lets go of the name under which it was fetched, unless that stands for something else by now: then somebody else has renewed it. False when it is in use. */
export async function dropBase(d: Daemon, base: BaseImage): Promise<boolean> {
  const found = await d.engine.images.inspect(base.reference)
  if (found && (base.image === '' || found.id === base.image) && !(await d.engine.images.drop(base.reference)))
    return false
  const { numDeletedRows } = await d.db
    .deleteFrom('base_images')
    .where('reference', '=', base.reference)
    .where('used_at', '=', base.used_at)
    .executeTakeFirst()
  return numDeletedRows > 0n && found !== null
}
