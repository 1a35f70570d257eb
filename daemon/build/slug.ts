import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Selectable } from 'kysely'
import type { Daemon } from '../daemon.ts'
import { notFound } from '../errors.ts'
import type { DbOrTx, Tx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import { slugArchive, slugFolder } from '../store/slug-path.ts'
import { ensureTree, exists, flush, placeTree, settleTree } from './tree.ts'

/**
 * What a build leaves: an archive (`./app/` at its root, zstd) and the same files unpacked, which dynos share read-only. Both are
 * there before the row is; the archive is the durable one, the tree can be made from it again.
 */
export type Slug = Selectable<Schema['slugs']>

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

/** Removes the files of all slugs of an app that is being destroyed; its rows go with the app's. */
export async function removeSlugs(d: Daemon, app: string): Promise<void> {
  for (const { id } of await slugs(d.db, app).execute())
    await rm(slugFolder(d.config, id), { recursive: true, force: true })
}

/**
 * At start, before any dyno: removes what no row knows (slugs of builds that the daemon did not live to finish, and of apps that are
 * gone), and unpacks again what a power cut may have spoilt.
 */
export async function recoverSlugs(d: Daemon): Promise<void> {
  const known = new Set((await d.db.selectFrom('slugs').select('id').execute()).map(({ id }) => id))
  const folder = join(d.config.data, 'slugs')
  await mkdir(folder, { recursive: true })
  for (const id of await readdir(folder)) {
    if (!known.has(id)) await rm(join(folder, id), { recursive: true, force: true })
    else await ensureTree(d.config, id).catch((error) => d.log.error('a slug cannot be recovered', { slug: id, error }))
  }
}

const slugs = (db: DbOrTx, app: string) => db.selectFrom('slugs').selectAll().where('app_id', '=', app)
