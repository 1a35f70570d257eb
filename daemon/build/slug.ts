import { randomUUID } from 'node:crypto'
import { link, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Selectable } from 'kysely'
import { type Actor, record } from '../account/activity.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound, UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { type DbOrTx, decide, type Tx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import { slugArchive, slugFolder } from '../store/slug-path.ts'
import { requireRoom } from './disk.ts'
import { ensureTree, exists, flush, placeTree, settleTree } from './tree.ts'

/**
 * What a build leaves: an archive (`./app/` at its root, zstd) and the same files unpacked, which dynos share read-only. Both are
 * there before the row is, or before it says so; the archive is the durable one, the tree can be made from it again.
 *
 *   a build, insertSlug --> ready
 *   a client, announceSlug --> awaited -- archive and tree in place (readySlug) --> ready
 *   awaited or ready -- without a release for a day (sweepSlugs) --> gone
 */
export type Slug = Selectable<Schema['slugs']>

/** What a client says of a slug that it will send. */
export type Announced = Pick<
  Slug,
  'process_types' | 'buildpack_description' | 'checksum' | 'commit' | 'commit_description' | 'stack'
>

/** Makes the row of a slug whose archive a client will send. Throws UserError when too many of the app have not been sent. */
export async function announceSlug(
  d: Daemon,
  app: { id: string },
  account: Actor,
  announced: Announced,
): Promise<Slug> {
  const now = d.clock.now()
  const slug: Slug = {
    ...{ id: randomUUID(), app_id: app.id, key: '', size: 0, archive: 'awaited', created_at: now },
    ...{ images: null, checks: null },
    ...announced,
  }
  await decide(d.db, async (tx) => {
    const awaited = await slugs(tx, app.id).where('archive', '=', 'awaited').execute()
    if (awaited.length >= limits.slugsAwaited)
      throw invalid(
        `${limits.slugsAwaited} slugs of this app have not been sent yet. Send those first, with PUT to blob.url.`,
      )
    await insertSlug(tx, slug)
    await record(tx, account, { app: app.id, text: `Created slug ${slug.id}`, now })
  })
  return slug
}

/** Its files are in place: from now on it can be released. Throws a conflict when it was sent before. */
export async function readySlug(d: Daemon, id: string, { checksum, size }: { checksum: string; size: number }) {
  const { numUpdatedRows } = await d.db
    .updateTable('slugs')
    .set({ checksum, size, archive: 'ready' })
    .where('id', '=', id)
    .where('archive', '=', 'awaited')
    .executeTakeFirst()
  if (numUpdatedRows === 0n) throw sentBefore()
}

export const sentBefore = () =>
  new UserError('conflict', 'The archive of this slug was sent before, and a slug never changes. Create another one.')

/** Every hour: slugs that were never released are forgotten after a day. */
export async function sweepSlugs(d: Daemon): Promise<void> {
  const used = d.db.selectFrom('releases').select('slug_id').where('slug_id', 'is not', null)
  const gone = await d.db
    .deleteFrom('slugs')
    .where('created_at', '<=', d.clock.now() - limits.slugKept)
    .where('id', 'not in', used)
    .returning('id')
    .execute()
  for (const { id } of gone) await rm(slugFolder(d.config, id), { recursive: true, force: true })
}

export async function findSlug(db: DbOrTx, app: string, id: string): Promise<Slug> {
  const slug = await slugs(db, app).where('id', '=', id).executeTakeFirst()
  if (!slug) throw notFound('slug', 'slug')
  return slug
}

/** The newest slug of the app that was built from exactly this, if its files are still there. */
export async function slugWithKey(d: Daemon, app: string, key: string): Promise<Slug | undefined> {
  const slug = await slugs(d.db, app).where('key', '=', key).orderBy('created_at', 'desc').limit(1).executeTakeFirst()
  if (!slug || !(await exists(slugArchive(d.config, slug.id)))) return undefined
  await ensureTree(d.config, slug.id)
  return slug
}

/** No slug of the app is used for another build from now on. */
export const forgetKeys = (tx: Tx, app: string): Promise<unknown> =>
  tx.updateTable('slugs').set({ key: '' }).where('app_id', '=', app).execute()

/** The number of the newest release that has this slug, for people. */
export async function releaseOf(db: DbOrTx, slug: string): Promise<number | undefined> {
  const newest = db.selectFrom('releases').select('version').where('slug_id', '=', slug).orderBy('version', 'desc')
  return (await newest.limit(1).executeTakeFirst())?.version
}

export const insertSlug = (tx: Tx, slug: Slug): Promise<unknown> => tx.insertInto('slugs').values(slug).execute()

/**
 * Takes a finished build's tree and archive over under the slug's id, by renaming: the files are not written again. Both paths must be
 * on the data directory's file system. A crash before the row is committed leaves a folder that `recoverSlugs` removes.
 */
export async function keepSlug(d: Daemon, slug: string, built: { tree: string; archive: string }): Promise<void> {
  const folder = slugFolder(d.config, slug)
  const archive = slugArchive(d.config, slug)
  await mkdir(folder, { recursive: true })
  await rename(built.archive, archive)
  await flush(archive)
  await placeTree(d.config, slug, built.tree)
  await flush(join(folder, '..'))
  settleTree(d.config, slug).catch((error) => d.log.warn('a slug is not settled yet', { slug, error }))
}

/**
 * The same slug for another app: the archive is the same file (a hard link), so it stays when the first app goes; the tree is its own.
 * A slug that the app was given or built before is taken again. A fresh one has no row yet, which is the caller's to insert, or to
 * remove its files again; after a crash `recoverSlugs` does. Throws UserError when the archive is gone.
 */
export async function copySlug(d: Daemon, slug: Slug, app: string): Promise<{ slug: Slug; fresh: boolean }> {
  const same = slugs(d.db, app).where('checksum', '=', slug.checksum).where('process_types', '=', slug.process_types)
  const ready = same.where('stack', '=', slug.stack).where('archive', '=', 'ready')
  const known = await ready.limit(1).executeTakeFirst()
  if (known && (await exists(slugArchive(d.config, known.id)))) {
    await ensureTree(d.config, known.id)
    return { slug: known, fresh: false }
  }
  await requireRoom(d.config.data)
  const copy: Slug = { ...slug, id: randomUUID(), app_id: app, created_at: d.clock.now() }
  const folder = slugFolder(d.config, copy.id)
  try {
    await mkdir(folder, { recursive: true })
    await link(slugArchive(d.config, slug.id), slugArchive(d.config, copy.id))
    await flush(folder)
    await flush(join(folder, '..'))
    await ensureTree(d.config, copy.id)
    return { slug: copy, fresh: true }
  } catch (error) {
    await removeSlug(d, copy.id)
    if (await exists(slugArchive(d.config, slug.id))) throw error
    throw new UserError('gone', 'The files of this slug are no longer here. Deploy the app again.', { cause: error })
  }
}

/** Removes the files of a slug that has no row. */
export const removeSlug = (d: Daemon, slug: string): Promise<void> =>
  rm(slugFolder(d.config, slug), { recursive: true, force: true })

/** Removes the files of all slugs of an app that is being destroyed; its rows go with the app's. */
export async function removeSlugs(d: Daemon, app: string): Promise<void> {
  for (const { id } of await slugs(d.db, app).execute()) await removeSlug(d, id)
}

/**
 * At start, before any dyno: removes what no row knows (slugs of builds that the daemon did not live to finish, and of apps that are
 * gone), and unpacks again what a power cut may have spoilt.
 */
export async function recoverSlugs(d: Daemon): Promise<void> {
  const ready = await d.db.selectFrom('slugs').select('id').where('archive', '=', 'ready').execute()
  const known = new Set(ready.map(({ id }) => id))
  const folder = join(d.config.data, 'slugs')
  await mkdir(folder, { recursive: true })
  for (const id of await readdir(folder)) {
    if (!known.has(id)) await rm(join(folder, id), { recursive: true, force: true })
    else await ensureTree(d.config, id).catch((error) => d.log.error('a slug cannot be recovered', { slug: id, error }))
  }
}

const slugs = (db: DbOrTx, app: string) => db.selectFrom('slugs').selectAll().where('app_id', '=', app)
