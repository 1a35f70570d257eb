import { sweepShelf } from '../build/buildpack/shelf.ts'
import { baseImages, dropBase, isUnused } from '../build/container/base-image.ts'
import { dropCache, sweepSpares } from '../build/slug/cache.ts'
import { sweepTrees } from '../build/slug/idle.ts'
import { deleteSuperfluous } from '../build/slug/kept.ts'
import { sweepSlugs } from '../build/slug/slug.ts'
import { sweepUploads } from '../build/source/upload.ts'
import type { Daemon } from '../daemon.ts'
import { messageOf } from '../errors.ts'
import { repackRepositories } from '../git/repack.ts'
import { limits } from '../limits.ts'
import { sweepRegistry } from '../registry/registry.ts'
import { byLastBuild } from './relief.ts'
import type { Strays } from './stray.ts'

/** What goes whether disk is short or not, and after how long. What grows gets its rule here; rows have theirs in retention.ts. */
const rules: Record<string, (d: Daemon, signal: AbortSignal) => Promise<unknown>> = {
  'sources that were sent': sweepUploads,
  'slugs that were not released': sweepSlugs,
  'slugs beyond those to roll back to': async (d, signal) => {
    for (const { id } of await byLastBuild(d))
      if (!signal.aborted) await deleteSuperfluous(d, id, { rollbacks: d.config.slugs })
  },
  'trees that no dyno needs': sweepTrees,
  'copies of caches': sweepSpares,
  'caches of apps that are not built': async (d, signal) => {
    for (const app of await byLastBuild(d))
      if (!signal.aborted && d.clock.now() - app.built > limits.idleCache) await dropCache(d, app)
  },
  'fetched buildpacks': sweepShelf,
  'base images': async (d) => {
    for (const base of await baseImages(d.db))
      if (isUnused(d, base) && d.clock.now() - base.used_at > limits.idleBase) await dropBase(d, base)
  },
  'pushed images': sweepRegistry,
  repositories: repackRepositories,
}

/** One look at all rules. One that fails is told and leaves the others alone; all are safe to repeat after a crash at any line. */
export async function collect(d: Daemon, strays: Strays, signal: AbortSignal): Promise<void> {
  for (const [what, rule] of Object.entries(rules)) {
    if (signal.aborted) return
    await rule(d, signal).catch((error: unknown) =>
      d.log.warn('what nobody needs could not be removed', { what, error: messageOf(error) }),
    )
  }
  const removed = await strays.look()
  if (removed.length > 0) d.log.warn('removed what nothing knew of', { removed: removed.slice(0, MOST_TOLD) })
}

const MOST_TOLD = 20
