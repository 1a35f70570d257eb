import { discardShelved, isIdle, shelf } from '../build/buildpack/shelf.ts'
import { baseImages, dropBase, isUnused } from '../build/container/base-image.ts'
import { dropCache, dropSpare, spares } from '../build/slug/cache.ts'
import { dropIdleTree, unpackedTrees } from '../build/slug/idle.ts'
import { deleteSuperfluous, keptSlugs, usesOf } from '../build/slug/kept.ts'
import type { Daemon } from '../daemon.ts'
import { limits } from '../limits.ts'

/** Where disk can be short: where the data folder is, and where the engine has its images. It may be the same file system. */
export type Place = 'data' | 'engine'

export type Kind = 'cache copy' | 'tree' | 'buildpack' | 'cache' | 'base image' | 'slug'

/** Something that can be taken away. */
export interface Spared {
  kind: Kind
  /** Id; null for what is nobody's. */
  app: string | null
  places: readonly Place[]
  /** False when it turns out to be needed, or to be gone. */
  take(): Promise<boolean>
  /** For the app, when it makes a difference to it: what it has no more. */
  loses?: () => string
}

export type Stage = (d: Daemon) => AsyncIterable<Spared>

/**
 * What can go when the disk is short, least regretted first: what is made again by itself, then what makes a build slower, then what takes
 * something away. Nothing of it is needed by a dyno that runs or is to run, or by a build that goes on.
 */
export const stages: readonly Stage[] = [
  async function* copies(d) {
    for await (const spare of spares(d))
      yield { kind: 'cache copy', app: spare.app, places: ['data'], take: () => dropSpare(spare) }
  },
  async function* trees(d) {
    for (const tree of await unpackedTrees(d))
      yield { kind: 'tree', app: null, places: ['data'], take: () => dropIdleTree(d, tree) }
  },
  async function* buildpacks(d) {
    for (const one of (await shelf(d)).reverse())
      if (isIdle(d, one)) yield { kind: 'buildpack', app: null, places: ['data'], take: () => discardShelved(d, one) }
  },
  async function* caches(d) {
    for (const app of await byLastBuild(d))
      yield {
        kind: 'cache',
        app: app.id,
        places: ['data', 'engine'],
        take: () => dropCache(d, app),
        loses: () => 'Removed the build cache to free disk space: the next build begins without one',
      }
  },
  async function* bases(d) {
    for (const base of await baseImages(d.db))
      if (isUnused(d, base)) yield { kind: 'base image', app: null, places: ['engine'], take: () => dropBase(d, base) }
  },
  async function* slugs(d) {
    for (const app of await superfluous(d)) yield oldestSlug(d, app)
  },
]

/** All but the last: what comes back by itself, or makes no more than a build slower. */
export const returning = stages.slice(0, -1)

/** Apps, the one that has not been built for longest first. */
export const byLastBuild = (d: Pick<Daemon, 'db'>) =>
  d.db
    .selectFrom('apps')
    .leftJoin('builds', 'builds.app_id', 'apps.id')
    .select(['apps.id', 'apps.name'])
    .select(({ fn }) => fn.coalesce(fn.max('builds.created_at'), 'apps.created_at').as('built'))
    .groupBy('apps.id')
    .orderBy('built')
    .execute()

/** Slugs of an app that can be rolled back to, however short the disk is. */
export const slugsAtLeast = (d: Pick<Daemon, 'config'>): number => Math.min(d.config.slugs, limits.slugsAtLeast)

/** An app for each of its slugs that can go, the oldest slug first. */
async function superfluous(d: Daemon): Promise<string[]> {
  const found: { app: string; made: number }[] = []
  for (const { id: app } of await d.db.selectFrom('apps').select('id').execute()) {
    const uses = await usesOf(d.db, app)
    const kept = keptSlugs(uses, slugsAtLeast(d))
    const ids = [...new Set(uses.map(({ slug }) => slug))].filter((slug) => !kept.has(slug))
    if (ids.length === 0) continue
    const rows = await d.db.selectFrom('slugs').select('created_at').where('id', 'in', ids).execute()
    for (const { created_at } of rows) found.push({ app, made: created_at })
  }
  return found.toSorted((a, b) => a.made - b.made).map(({ app }) => app)
}

function oldestSlug(d: Daemon, app: string): Spared {
  let version = 0
  return {
    kind: 'slug',
    app,
    places: ['data', 'engine'],
    async take() {
      const [deleted] = await deleteSuperfluous(d, app, { rollbacks: slugsAtLeast(d), most: 1 })
      version = deleted?.version ?? 0
      return deleted !== undefined
    },
    loses: () => `Removed the slug of v${version} to free disk space: it can no longer be rolled back to`,
  }
}

export interface Relief {
  stages: readonly Stage[]
  /** Where too much is in use now. */
  over(): Promise<ReadonlySet<Place>>
}

/** Takes away, stage by stage, until nothing is over, and nothing that would not help. What cannot be taken is told and passed over. */
export async function relieve(d: Daemon, { stages, over }: Relief, signal: AbortSignal): Promise<Spared[]> {
  const taken: Spared[] = []
  for (const stage of stages) {
    for await (const spared of stage(d)) {
      const short = await over()
      if (short.size === 0 || signal.aborted) return taken
      if (!spared.places.some((place) => short.has(place))) continue
      const went = await spared.take().catch((error: unknown) => {
        d.log.warn('what could go when disk is short could not be removed', {
          what: spared.kind,
          app: spared.app,
          error,
        })
        return false
      })
      if (went) taken.push(spared)
    }
  }
  return taken
}
