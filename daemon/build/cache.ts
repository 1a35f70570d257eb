import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Config } from '../config.ts'
import type { Daemon } from '../daemon.ts'
import { run } from './command.ts'

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

/** For builds:cache:purge, and for an app that is being destroyed. */
export const removeCache = (d: Pick<Daemon, 'config'>, app: string): Promise<void> =>
  rm(cacheFolder(d.config, app), { recursive: true, force: true })

const cacheFolder = (config: Place, app: string): string => join(config.data, 'cache', app)

async function ensured(folder: string): Promise<string> {
  await mkdir(dirname(folder), { recursive: true })
  await mkdir(folder, { recursive: true })
  return folder
}
