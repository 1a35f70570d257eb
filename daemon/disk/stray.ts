import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { releaseImages, slugsWithImages } from '../build/container/image.ts'
import { appsWithLayers, forgetCache } from '../build/container/layer-cache.ts'
import type { Clock } from '../clock.ts'
import type { Daemon } from '../daemon.ts'
import { limits } from '../limits.ts'
import { removeTree } from '../remove.ts'
import type { Db } from '../store/database.ts'

/**
 * The safety net: what no row knows. Erasing, failing and crashing clean up after themselves; whatever that misses goes here. What is being
 * made may have no row yet, so a thing goes only when nobody has known it for an hour, at each look in between: nothing takes as
 * long from its first file to its row. What there is is listed before the rows are read, so that what is new is not taken for old.
 */
export interface Strays {
  /** Removes what has been without an owner for an hour; tells what. May be asked as often as one likes. */
  look(): Promise<string[]>
}

/** A kind of things, by their names. */
export interface Shelf {
  kind: string
  list(): Promise<Iterable<string>>
  /** Those of them that have an owner. */
  known(names: readonly string[]): Promise<ReadonlySet<string>>
  remove(name: string): Promise<void>
}

export function createStrays(
  shelves: readonly Shelf[],
  clock: Pick<Clock, 'now'>,
  failed: (kind: string, error: unknown) => void,
): Strays {
  /** Since when nobody is known to own it, ms. */
  const suspects = new Map<string, number>()
  const lookAt = async ({ kind, list, known, remove }: Shelf): Promise<string[]> => {
    const removed: string[] = []
    const names = [...(await list())]
    const owned = await known(names)
    const before = new Map(suspects)
    for (const suspect of before.keys()) if (suspect.startsWith(`${kind} `)) suspects.delete(suspect)
    for (const name of names.filter((one) => !owned.has(one))) {
      const stray = `${kind} ${name}`
      const since = before.get(stray) ?? clock.now()
      suspects.set(stray, since)
      if (clock.now() - since < limits.stray) continue
      await remove(name)
      suspects.delete(stray)
      removed.push(stray)
    }
    return removed
  }
  return {
    async look() {
      const removed: string[] = []
      for (const shelf of shelves)
        await lookAt(shelf).then(
          (some) => removed.push(...some),
          (error: unknown) => failed(shelf.kind, error),
        )
      return removed
    },
  }
}

type Owner = 'apps' | 'app_setups' | 'builds' | 'dynos' | 'releases' | 'slugs'

/** Ids of rows, so many in one question. */
async function rowsOf(db: Db, table: Owner, ids: readonly string[]): Promise<Set<string>> {
  const found = new Set<string>()
  for (let from = 0; from < ids.length; from += AT_ONCE) {
    const part = ids.slice(from, from + AT_ONCE)
    for (const { id } of await db.selectFrom(table).select('id').where('id', 'in', part).execute()) found.add(id)
  }
  return found
}

const AT_ONCE = 500

/** A folder of the data folder whose entries are named after rows. */
function folderOf(d: Daemon, folder: string, owner: (names: readonly string[]) => Promise<ReadonlySet<string>>): Shelf {
  const root = join(d.config.data, folder)
  return {
    kind: folder,
    list: () => readdir(root).catch(() => []),
    known: owner,
    remove: (name) => removeTree(join(root, name)),
  }
}

/** What is wherever the platform keeps something by the id of a row. */
export function shelvesOf(d: Daemon): Shelf[] {
  const byApp = (names: readonly string[]) => rowsOf(d.db, 'apps', names)
  const engine = (kind: 'apps' | 'dynos', remove: (id: string) => Promise<void>): Shelf => ({
    kind: `engine's ${kind}`,
    list: async () => (await d.engine.owners())[kind],
    known: (ids) => rowsOf(d.db, kind, ids),
    remove,
  })
  return [
    folderOf(d, 'cache', byApp),
    folderOf(d, 'logs', byApp),
    folderOf(d, 'repos', async (names) => {
      const apps = await byApp(names.map((name) => name.replace(/\.git$/, '')))
      return new Set(names.filter((name) => apps.has(name.replace(/\.git$/, ''))))
    }),
    folderOf(d, 'transcripts', async (names) => {
      const idsOf = (kind: string) =>
        names.filter((name) => name.startsWith(kind)).map((name) => name.slice(kind.length))
      const builds = await rowsOf(d.db, 'builds', idsOf('build-'))
      const releases = await rowsOf(d.db, 'releases', idsOf('release-'))
      return new Set(names.filter((name) => builds.has(name.slice(6)) || releases.has(name.slice(8))))
    }),
    folderOf(d, 'slugs', async () => {
      const slugs = d.db.selectFrom('slugs').select('files').where('deleted_at', 'is', null)
      return new Set((await slugs.execute()).map(({ files }) => files))
    }),
    folderOf(d, 'builds', () => pendingBuilds(d)),
    folderOf(d, 'setups', (names) => rowsOf(d.db, 'app_setups', names)),
    engine('dynos', (id) => d.engine.stop(id, 0)),
    engine('apps', (id) => d.engine.removeApp(id)),
    {
      kind: "engine's builds",
      list: async () => (await d.engine.owners()).builds,
      known: () => pendingBuilds(d),
      remove: (id) => d.engine.removeBuild(id),
    },
    {
      kind: 'images of slugs',
      list: () => slugsWithImages(d),
      known: (ids) => rowsOf(d.db, 'slugs', ids),
      remove: (id) => releaseImages(d, id),
    },
    {
      kind: 'layers of apps',
      list: () => appsWithLayers(d),
      known: byApp,
      remove: async (id) => void (await forgetCache(d, id)),
    },
  ]
}

const pendingBuilds = async (d: Daemon): Promise<Set<string>> =>
  new Set((await d.db.selectFrom('builds').select('id').where('status', '=', 'pending').execute()).map(({ id }) => id))
