import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Selectable } from 'kysely'
import type { Config } from '../config.ts'
import type { Daemon } from '../daemon.ts'
import { notFound } from '../errors.ts'
import type { DbOrTx, Tx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import { slugArchive, slugFolder, slugTree } from '../store/slug-path.ts'

/**
 * What a build leaves: an archive (`./app/` at its root, zstd) and the same files unpacked, which dynos share read-only. Both are
 * there before the row is; the archive is the durable one, the tree can be made from it again.
 */
export type Slug = Selectable<Schema['slugs']>

type Place = Pick<Config, 'data'>

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
 * on the data directory's file system. A crash before the row is committed leaves a folder that `sweepSlugs` removes.
 */
export async function keepSlug(config: Place, slug: string, built: { tree: string; archive: string }): Promise<void> {
  const folder = slugFolder(config, slug)
  await mkdir(folder, { recursive: true })
  await rename(built.archive, slugArchive(config, slug))
  await flush(slugArchive(config, slug))
  await rename(built.tree, slugTree(config, slug))
  await flush(folder)
  await flush(join(folder, '..'))
}

/** Unpacks the archive again if the tree is not there. */
export async function ensureTree(config: Place, slug: string): Promise<void> {
  const tree = slugTree(config, slug)
  if (await exists(tree)) return
  const next = `${tree}.next`
  await rm(next, { recursive: true, force: true })
  await mkdir(next, { recursive: true })
  const args = [
    '-x',
    '--zstd',
    '-p',
    '--strip-components=2',
    '--same-owner',
    '-C',
    next,
    '-f',
    slugArchive(config, slug),
  ]
  const tar = spawn('tar', args, { stdio: 'ignore' })
  const [code] = await once(tar, 'exit')
  if (code !== 0) throw new Error(`the slug ${slug} could not be unpacked (tar ended with ${code})`)
  await rename(next, tree)
}

/** Removes the files of all slugs of an app that is being destroyed; its rows go with the app's. */
export async function removeSlugs(d: Daemon, app: string): Promise<void> {
  for (const { id } of await slugs(d.db, app).execute())
    await rm(slugFolder(d.config, id), { recursive: true, force: true })
}

/** Removes what no row knows: slugs of builds that the daemon did not live to finish, and of apps that are gone. */
export async function sweepSlugs(d: Daemon): Promise<void> {
  const known = new Set((await d.db.selectFrom('slugs').select('id').execute()).map(({ id }) => id))
  const folder = join(d.config.data, 'slugs')
  await mkdir(folder, { recursive: true })
  for (const id of await readdir(folder))
    if (!known.has(id)) await rm(join(folder, id), { recursive: true, force: true })
}

const slugs = (db: DbOrTx, app: string) => db.selectFrom('slugs').selectAll().where('app_id', '=', app)

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

async function flush(path: string): Promise<void> {
  const file = await open(path)
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
