import { randomUUID } from 'node:crypto'
import { link, mkdir, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { Selectable } from 'kysely'
import { type Actor, record } from '../../account/activity.ts'
import type { Daemon } from '../../daemon.ts'
import { invalid, notFound, UserError } from '../../errors.ts'
import { failpoint } from '../../failpoint.ts'
import { limits } from '../../limits.ts'
import { removeTree } from '../../remove.ts'
import { imagesOf } from '../../run/code.ts'
import { ensureTree, exists, flush, placeTree, recoverTree, settleTree } from '../../run/tree.ts'
import { type DbOrTx, decide, type Tx } from '../../store/database.ts'
import type { Schema } from '../../store/schema.ts'
import { slugArchive, slugFolder } from '../../store/slug-path.ts'
import { holdImages, recoverImages, releaseImages, sweepImages } from '../container/image.ts'

/**
 * What a build leaves: an archive (`./app/` at its root, zstd) and the same files unpacked, which dynos share read-only. Both are
 * there before the row is, or before it says so; the archive is the durable one, the tree can be made from it again.
 *
 *   a build, insertSlug --> ready
 *   a client, announceSlug --> awaited -- archive and tree in place (readySlug) --> ready
 *   awaited or ready -- without a release for a day (sweepSlugs) --> gone
 *   ready -- so many newer ones have succeeded (deleteSlugs) --> deleted -- files and images removed (removeDeleted)
 *
 * deleted: `deleted_at` is set. The row stays as long as a release has it, and can be released no more; which ones come to it is decided
 * in `kept.ts`. A slug never changes, so slugs with the same content share archive and tree: `files` names the folder of both. It goes
 * with the last row that has it and is not deleted.
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
  const id = randomUUID()
  const slug: Slug = {
    ...{ id, app_id: app.id, key: '', files: id, size: 0, archive: 'awaited', created_at: now },
    ...{ images: null, checks: null, deleted_at: null },
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
  const old = await d.db
    .deleteFrom('slugs')
    .where('created_at', '<=', d.clock.now() - limits.slugKept)
    .where('id', 'not in', used)
    .returning(['id', 'files', 'images'])
    .execute()
  if (old.length > 0) await failpoint('slugs.forgotten')
  for (const slug of old) await removeSlug(d, slug)
  await sweepImages(d)
}

export async function findSlug(db: DbOrTx, app: string, id: string): Promise<Slug> {
  const slug = await slugs(db, app).where('id', '=', id).executeTakeFirst()
  if (!slug) throw notFound('slug', 'slug')
  return slug
}

/** The newest slug of the app that was built from exactly this, if its files are still there. */
export async function slugWithKey(d: Daemon, app: string, key: string): Promise<Slug | undefined> {
  const slug = await kept(d.db, app).where('key', '=', key).orderBy('created_at', 'desc').limit(1).executeTakeFirst()
  return slug && (await hasFiles(d, slug)) ? slug : undefined
}

/** One of the app with this archive. */
export async function slugWithChecksum(d: Daemon, app: string, checksum: string): Promise<Slug | undefined> {
  const same = kept(d.db, app).where('checksum', '=', checksum).where('archive', '=', 'ready')
  const slug = await same.limit(1).executeTakeFirst()
  return slug && (await hasFiles(d, slug)) ? slug : undefined
}

/** Its archive is there, and now its tree is too. */
async function hasFiles(d: Daemon, { files }: Slug): Promise<boolean> {
  if (!(await exists(slugArchive(d.config, files)))) return false
  await ensureTree(d, files)
  return true
}

/** No slug of the app is used for another build from now on. */
export const forgetKeys = (tx: Tx, app: string): Promise<unknown> =>
  tx.updateTable('slugs').set({ key: '' }).where('app_id', '=', app).execute()

/** The number of the newest release that has this slug, for people. */
export async function releaseOf(db: DbOrTx, slug: string): Promise<number | undefined> {
  const newest = db.selectFrom('releases').select('version').where('slug_id', '=', slug).orderBy('version', 'desc')
  return (await newest.limit(1).executeTakeFirst())?.version
}

/** Throws UserError when it has the files of slugs that are all gone meanwhile, because their files are going too. */
export async function insertSlug(tx: Tx, slug: Slug): Promise<void> {
  if (shares(slug) && !(await withFiles(tx, slug.files))) throw gone()
  await tx.insertInto('slugs').values(slug).execute()
}

const shares = ({ id, files }: Slug): boolean => files !== id && files !== ''

const withFiles = (db: DbOrTx, files: string) =>
  db
    .selectFrom('slugs')
    .select('id')
    .where('files', '=', files)
    .where('deleted_at', 'is', null)
    .limit(1)
    .executeTakeFirst()

const gone = () => new UserError('gone', 'The files of this slug are no longer here. Deploy the app again.')

/**
 * Takes a finished build's tree and archive over as the slug's files, by renaming: they are not written again. Both paths must be on the
 * data directory's file system. A crash before the row is committed leaves a folder that `recoverSlugs` removes.
 */
export async function keepSlug(d: Daemon, slug: Slug, built: { tree: string; archive: string }): Promise<void> {
  const folder = slugFolder(d.config, slug.files)
  const archive = slugArchive(d.config, slug.files)
  await mkdir(folder, { recursive: true })
  if (!(await linkEqual(d, slug))) await rename(built.archive, archive)
  await failpoint('slug.archived')
  await flush(archive)
  await placeTree(d.config, slug.files, built.tree)
  await flush(join(folder, '..'))
  await failpoint('slug.placed')
  settleTree(d.config, slug.files).catch((error) => d.log.warn('a slug is not settled yet', { slug: slug.id, error }))
}

/**
 * Makes the archive a hard link to an equal one, of whatever app. Trees are not shared that way: an app runs what its own
 * build left, or what it was given, whatever another one makes of its tree.
 */
async function linkEqual(d: Daemon, { checksum, size, files }: Slug): Promise<boolean> {
  const ready = d.db.selectFrom('slugs').select('files').where('archive', '=', 'ready').where('files', '!=', '')
  const equal = await ready.where('checksum', '=', checksum).where('size', '=', size).limit(1).executeTakeFirst()
  if (!equal) return false
  return link(slugArchive(d.config, equal.files), slugArchive(d.config, files)).then(
    () => true,
    () => false,
  )
}

/**
 * The same slug for another app, with the same files, which stay until no slug has them. One that the app was given or built before is
 * taken again; a fresh one has no row yet. Throws UserError when the files are gone.
 */
export async function copySlug(d: Daemon, slug: Slug, app: string): Promise<{ slug: Slug; fresh: boolean }> {
  const same = kept(d.db, app).where('checksum', '=', slug.checksum).where('process_types', '=', slug.process_types)
  const ready = same.where('stack', '=', slug.stack).where('archive', '=', 'ready')
  const known = await ready.limit(1).executeTakeFirst()
  if (slug.images !== null) return known ? { slug: known, fresh: false } : copyImages(d, slug, app)
  if (known && (await hasFiles(d, known))) return { slug: known, fresh: false }
  if (!(await hasFiles(d, slug))) throw gone()
  return { slug: { ...slug, id: randomUUID(), app_id: app, created_at: d.clock.now(), deleted_at: null }, fresh: true }
}

/** Images are not copied: they are held under one more name. */
async function copyImages(d: Daemon, slug: Slug, app: string): Promise<{ slug: Slug; fresh: boolean }> {
  const copy: Slug = { ...slug, id: randomUUID(), app_id: app, created_at: d.clock.now(), deleted_at: null }
  try {
    await holdImages(d, copy.id, Object.entries(imagesOf(slug) ?? {}))
    return { slug: copy, fresh: true }
  } catch (error) {
    throw new UserError('gone', 'The images of this app are no longer here. Deploy it again.', { cause: error })
  }
}

/** What is left of a slug that has no row. */
export type Remains = Pick<Slug, 'id' | 'files' | 'images'>

/**
 * Lets go of its images, and removes its files when no slug has them any more. Its row must be gone: from then on nothing can come to
 * share them unless another row has them. What a crash leaves `recoverSlugs` removes.
 */
export async function removeSlug(d: Daemon, { id, files, images }: Remains): Promise<void> {
  if (images !== null) await releaseImages(d, id)
  else if (files !== '' && !(await withFiles(d.db, files))) await removeTree(slugFolder(d.config, files))
}

/**
 * Decides of some slugs that they are deleted, as part of the decision that nothing needs them: from now on no release, build or other app
 * takes one. Then `removeDeleted`.
 */
export const deleteSlugs = (tx: Tx, ids: string[], now: number): Promise<unknown> =>
  tx.updateTable('slugs').set({ deleted_at: now, key: '' }).where('id', 'in', ids).execute()

/** Removes the files of deleted slugs of an app, unless another slug has them. Safe to repeat: rows say what is left to do. */
export async function removeDeleted(d: Daemon, app: string): Promise<void> {
  const deleted = slugs(d.db, app).where('deleted_at', 'is not', null).where('files', '!=', '')
  for (const slug of await deleted.execute()) {
    await removeSlug(d, slug)
    await d.db.updateTable('slugs').set({ files: '' }).where('id', '=', slug.id).execute()
  }
}

/** What an app that is being destroyed will leave of its slugs, to be removed when their rows have gone with the app's. */
export const remainsOf = (db: DbOrTx, app: string): Promise<Remains[]> => slugs(db, app).execute()

/**
 * At start, before any dyno: removes what no row knows (slugs of builds that the daemon did not live to finish, and of apps that are
 * gone), and unpacks again what a power cut may have spoilt.
 */
export async function recoverSlugs(d: Daemon): Promise<void> {
  const ready = await d.db
    .selectFrom('slugs')
    .select('files')
    .where('archive', '=', 'ready')
    .where('deleted_at', 'is', null)
    .execute()
  const known = new Set(ready.map(({ files }) => files))
  const folder = join(d.config.data, 'slugs')
  await mkdir(folder, { recursive: true })
  for (const files of await readdir(folder)) {
    if (!known.has(files)) await removeTree(join(folder, files))
    else
      await recoverTree(d.config, files).catch((error) => d.log.error('a slug cannot be recovered', { files, error }))
  }
  await recoverImages(d)
}

/** Those that can be released, now or when they are sent. */
const kept = (db: DbOrTx, app: string) => slugs(db, app).where('deleted_at', 'is', null)

const slugs = (db: DbOrTx, app: string) => db.selectFrom('slugs').selectAll().where('app_id', '=', app)
