import type { Daemon } from '../../daemon.ts'
import { failpoint } from '../../failpoint.ts'

/**
 * Layers of images that an app's next build may use again: those of its last one that succeeded, and of no other app's. They are held under
 * a repository of the app's own.
 */
const repositoryOf = (app: string): string => `cache-${app}`

export const isCacheOf = (app: string, name: string): boolean => name.startsWith(`${repositoryOf(app)}:`)

/** Ids of apps of which layers are held. */
export const appsWithLayers = async (d: Daemon): Promise<string[]> =>
  (await d.engine.images.kept()).flatMap((name) => HELD.exec(name)?.[1] ?? [])

const HELD = /^cache-([^:]+):/

/** Names for the builder; none after a purge, and then everything is made anew. */
export const cacheOf = async (d: Daemon, app: string): Promise<string[]> =>
  (await d.engine.images.kept()).filter((name) => isCacheOf(app, name))

/** Holds every stage of these in place of what was held. A crash in the middle loses layers, nothing else. */
export async function renewCache(
  d: Daemon,
  app: string,
  built: ReadonlyMap<string, { stages: string[] }>,
): Promise<void> {
  await forgetCache(d, app)
  await failpoint('image.uncached')
  for (const [type, { stages }] of built)
    for (const [index, id] of stages.entries()) await d.engine.images.keep(id, `${repositoryOf(app)}:${type}-${index}`)
}

/** Layers that a dyno uses are held by its slug. */
export const forgetCache = (d: Pick<Daemon, 'engine'>, app: string): Promise<boolean> =>
  d.engine.images.forget(repositoryOf(app))
