import { randomUUID } from 'node:crypto'
import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Actor, record } from '../account/activity.ts'
import type { Config } from '../config.ts'
import type { Daemon } from '../daemon.ts'
import { betweenBuilds, buildFolder } from './build.ts'
import { run } from './command.ts'
import { forgetKeys } from './slug.ts'

/**
 * What buildpacks keep of one build for the next, one folder an app.
 *
 * A build works on a copy and the copy takes the old one's place when the build has succeeded. So a failed build leaves the cache as
 * it was; and although buildpacks hard-link between cache and slug, nobody ever writes to a file of a kept cache, which may be one
 * that a running app reads. Copying at the end instead would cost the same and lose the first guarantee.
 */
type Place = Pick<Config, 'data'>

/** Fills `into`, which must not exist, with the app's cache, if it has one. */
export async function restoreCache(config: Place, app: string, into: string, signal: AbortSignal): Promise<void> {
  await mkdir(into, { recursive: true })
  await run('cp', ['-a', '--reflink=auto', `${await ensured(cacheFolder(config, app))}/.`, into], { signal })
}

/** Makes `from` the app's cache. `aside` is where the old one goes, to be removed with the rest of the build. */
export async function commitCache(
  config: Place,
  app: string,
  { from, aside }: { from: string; aside: string },
): Promise<void> {
  const folder = await ensured(cacheFolder(config, app))
  await rename(folder, aside)
  await rename(from, folder)
}

/** The next build starts from nothing, even when it is of a source that was built before. Throws a conflict while one goes on. */
export async function purgeCache(d: Daemon, app: { id: string; name: string }, account: Actor): Promise<void> {
  // Aside first, so that nobody's change waits for the removal of many files. What a crash leaves goes at start, as of a build.
  const aside = buildFolder(d.config, randomUUID())
  await mkdir(dirname(aside), { recursive: true })
  await betweenBuilds(d, app, async (tx) => {
    await rename(await ensured(cacheFolder(d.config, app.id)), aside)
    await forgetKeys(tx, app.id)
    await record(tx, account, { app: app.id, text: 'Purged the build cache', now: d.clock.now() })
  })
  await rm(aside, { recursive: true, force: true })
}

/** For an app that is being destroyed. */
export const removeCache = (d: Pick<Daemon, 'config'>, app: string): Promise<void> =>
  rm(cacheFolder(d.config, app), { recursive: true, force: true })

const cacheFolder = (config: Place, app: string): string => join(config.data, 'cache', app)

async function ensured(folder: string): Promise<string> {
  await mkdir(dirname(folder), { recursive: true })
  await mkdir(folder, { recursive: true })
  return folder
}
