import { link, mkdir, open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../build/command.ts'
import type { Daemon } from '../daemon.ts'
import { type Refs, refsOf } from '../git/copy.ts'
import { removeTree } from '../remove.ts'
import { imagesOf } from '../run/code.ts'
import { copyDatabase } from '../store/copy.ts'
import { openDatabase } from '../store/database.ts'
import { slugArchive } from '../store/slug-path.ts'
import { verdicts } from './verdict.ts'

/**
 * What a backup begins with: the platform as it is at one moment, held so that nothing of it goes while it is read. In the folder `snapshot`:
 *
 *   1. the refs of all repositories: git drops nothing that they reach for two weeks. A push that is accepted after that has a release
 *      and not moved its branch, as when the daemon is killed just then, and is pushed again.
 *   2. the database, by SQLite itself, in one transaction that nobody waits for.
 *   3. the archives of all slugs that it names, by one more hard link each; the images, by one more name in the engine. A slug never
 *      changes. When one has gone since 2, that is done again, so that rows and files fit.
 */
export interface Capture {
  folder: string
  /** Ids. What else there is by app is of one that was made since. */
  apps: string[]
  /** Names of the output of builds and release commands. */
  transcripts: string[]
  repositories: { app: string; refs: Refs }[]
  /** Names of folders in `slugs`. */
  slugs: string[]
  /** Ids. */
  images: string[]
  counts: Record<string, number>
  /** What rows name and is not there, for people. */
  missing: string[]
  /** About what all of it takes, unpacked. */
  bytes: number
}

export const snapshotFolder = ({ config }: Pick<Daemon, 'config'>): string => join(config.data, 'snapshot')

/** Repository of the names that hold images for a backup. */
const HOLD = 'backup'
const ATTEMPTS = 3

/** `letGo` ends it, also after a failure. */
export async function capture(d: Daemon): Promise<Capture> {
  const folder = snapshotFolder(d)
  await mkdir(join(folder, 'slugs'), { recursive: true, mode: 0o700 })
  const refs = await allRefs(d)
  for (let attempt = 1; ; attempt++) {
    const { apps, transcripts, slugs, counts } = await rowsAt(d, folder)
    const missing = [
      ...(await linkSlugs(d, folder, new Map(slugs.flatMap(({ files, app }) => (files === '' ? [] : [[files, app]]))))),
      ...(await holdImages(d, new Map(slugs.flatMap(({ images, app }) => images.map((id) => [id, app]))))),
    ]
    if (missing.length > 0 && attempt < ATTEMPTS) continue
    const gone = new Set(missing.map(({ name }) => name))
    const held = {
      ...{ folder, transcripts, apps: [...apps.keys()] },
      repositories: refs.filter(({ app }) => apps.has(app)),
      slugs: [...new Set(slugs.map(({ files }) => files))].filter((files) => files !== '' && !gone.has(files)),
      images: [...new Set(slugs.flatMap(({ images }) => images))].filter((id) => !gone.has(id)),
    }
    return {
      ...held,
      counts: { ...counts, repositories: held.repositories.length, images: held.images.length },
      missing: missing.map(({ kind, name, app }) => `${kind} ${name} of ${apps.get(app) ?? app}`),
      bytes: await bytesOf(d, held),
    }
  }
}

/** Lets all of it go, whatever there is; at a start too, after a crash. */
export async function letGo(d: Daemon): Promise<void> {
  const there = await stat(snapshotFolder(d)).catch(() => undefined)
  if (!there) return
  await d.engine.images.forget(HOLD).catch((error: unknown) => d.log.warn('images are still held', { error }))
  await removeTree(snapshotFolder(d))
}

async function allRefs(d: Daemon): Promise<Capture['repositories']> {
  const found: Capture['repositories'] = []
  for (const { id: app } of await d.db.selectFrom('apps').select('id').execute()) {
    const refs = await refsOf(d.config.data, app)
    if (refs) found.push({ app, refs })
  }
  return found
}

interface Rows {
  /** Names by id. */
  apps: Map<string, string>
  transcripts: string[]
  slugs: { app: string; files: string; images: string[] }[]
  counts: Record<string, number>
}

/** Copies the database, and reads in the copy what it holds. */
async function rowsAt(d: Daemon, folder: string): Promise<Rows> {
  const path = join(folder, 'sluice.db')
  await removeTree(path)
  await copyDatabase(join(d.config.data, 'sluice.db'), path)
  const db = await openDatabase(path)
  try {
    const apps = await db.selectFrom('apps').select(['id', 'name']).execute()
    const slugs = await db
      .selectFrom('slugs')
      .select(['app_id', 'files', 'images'])
      .where('archive', '=', 'ready')
      .where('deleted_at', 'is', null)
      .execute()
    const idsOf = async (table: 'builds' | 'releases'): Promise<string[]> =>
      (await db.selectFrom(table).select('id').execute()).map(({ id }) => id)
    const [builds, releases] = [await idsOf('builds'), await idsOf('releases')]
    return {
      transcripts: [...builds.map((id) => `build-${id}`), ...releases.map((id) => `release-${id}`)],
      apps: new Map(apps.map(({ id, name }) => [id, name])),
      slugs: slugs.map(({ app_id, files, images }) => ({
        app: app_id,
        files,
        images: Object.values(imagesOf({ images }) ?? {}).map(({ id }) => id),
      })),
      counts: { apps: apps.length, slugs: slugs.length, releases: releases.length },
    }
  } finally {
    await db.destroy()
    const file = await open(path)
    await file.sync().finally(() => file.close())
  }
}

interface Missing {
  kind: 'slug' | 'image'
  name: string
  app: string
}

/** Links those that are there; gives the others. */
async function linkSlugs({ config }: Daemon, folder: string, slugs: Map<string, string>): Promise<Missing[]> {
  const missing: Missing[] = []
  for (const [files, app] of slugs)
    await link(slugArchive(config, files), join(folder, 'slugs', files)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') missing.push({ kind: 'slug', name: files, app })
      // as on a disk of its own, or a file system without hard links: then all would be missing
      else if (error.code !== 'EEXIST') throw error
    })
  return missing
}

async function holdImages({ engine }: Daemon, images: Map<string, string>): Promise<Missing[]> {
  const missing: Missing[] = []
  let n = 0
  for (const [id, app] of images) {
    if (await engine.images.inspect(id)) await engine.images.keep(id, `${HOLD}:${n++}`)
    else missing.push({ kind: 'image', name: id, app })
  }
  return missing
}

async function bytesOf(d: Daemon, held: Pick<Capture, 'folder' | 'slugs' | 'images'>): Promise<number> {
  let bytes = (await stat(join(held.folder, 'sluice.db'))).size
  for (const files of held.slugs) bytes += (await stat(join(held.folder, 'slugs', files))).size
  if (held.images.length > 0)
    for (const image of await d.engine.images.list()) if (held.images.includes(image.id)) bytes += image.bytes
  const others = Object.entries(verdicts).flatMap(([name, verdict]) =>
    'kept' in verdict && !['database', 'slugs'].includes(verdict.kept) ? [join(d.config.data, name)] : [],
  )
  // Those that are not there it complains about, and counts the others.
  const told = await run('du', ['-sk', ...others], { anyExit: true })
  return bytes + told.split('\n').reduce((sum, line) => sum + (Number.parseInt(line, 10) || 0) * 1024, 0)
}
