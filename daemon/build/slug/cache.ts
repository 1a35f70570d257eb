import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { type Actor, record } from '../../account/activity.ts'
import type { Config } from '../../config.ts'
import type { Daemon } from '../../daemon.ts'
import { messageOf, UserError } from '../../errors.ts'
import { failpoint } from '../../failpoint.ts'
import { limits } from '../../limits.ts'
import { removeTree } from '../../remove.ts'
import { bootId, exists } from '../../run/tree.ts'
import { betweenBuilds, buildFolder } from '../build.ts'
import { forgetFetched } from '../buildpack/buildpack.ts'
import { run } from '../command.ts'
import { cacheOf, forgetCache } from '../container/layer-cache.ts'
import { requireRoom } from '../disk.ts'
import { forgetKeys } from './slug.ts'

/**
 * What buildpacks keep of one build for the next: `cache/<app>/<stack>`, with
 *
 *   kept        what the last build that succeeded left
 *   next        the same, while what was kept before it is taken away: from the moment that it is there it is the cache
 *   spare-BOOT  a copy of it, made when nobody waits, for the next build to work on
 *   unsettled-* names the boot of the host in which a `kept` was written, until that is on disk; each `kept` has one of its own
 *
 *   spare --- a build takes it (takeCache) ---> the build's --- it succeeded (commitCache) ---> next ---> kept --- copied (spareCache) ---> spare
 *                                                    +--------- it failed ---> gone
 *
 * A build works on a copy, so a failed one leaves the cache as it was; and although buildpacks hard-link between cache and slug, nobody
 * ever writes to a file of a kept cache, which may be one that a running app reads. A power cut may have spoilt what was not on disk: an
 * unsettled cache or a spare of another boot is not used. A cache of another stack is not either, and goes with the next that is kept.
 */
type Place = Pick<Config, 'data'>

export interface Cached {
  id: string
  stack: string
}

/** Copies that are being made, by app. */
const copying = new Map<string, { abort: AbortController; ended: Promise<void> }>()

/**
 * Makes `into`, which must not exist, a folder with the app's cache, if it has one. Tells the stack of a cache that is
 * not for this one, and whether there was one that cannot be copied.
 */
export async function takeCache(
  config: Place,
  app: Cached,
  into: string,
  signal: AbortSignal,
): Promise<{ otherStack?: string | undefined; lost?: boolean }> {
  const folder = stackFolder(config, app)
  await copying.get(app.id)?.ended
  signal.throwIfAborted()
  await removeUnsettled(folder)
  await adoptInPlace(cacheFolder(config, app.id), app.stack)
  await mkdir(dirname(into), { recursive: true })
  if (await renamed(join(folder, await spareName()), into)) return {}
  if (await exists(join(folder, 'kept'))) return { lost: !(await copied(config, join(folder, 'kept'), into, signal)) }
  await mkdir(into)
  const stacks = await readdir(cacheFolder(config, app.id)).catch(() => [])
  return { otherStack: stacks.find((stack) => stack !== app.stack && /^heroku-\d+$/.test(stack)) }
}

/** False when it cannot be copied, because its paths are too long for instance: then there is an empty folder. */
async function copied(config: Place, from: string, into: string, signal: AbortSignal): Promise<boolean> {
  try {
    await run('cp', ['-a', '--reflink=auto', from, into], { signal })
    return true
  } catch {
    signal.throwIfAborted()
    await requireRoom(config.data)
    await removeTree(into)
    await mkdir(into)
    return false
  }
}

/**
 * Makes `from` the app's cache; it is that with one rename, so that a crash before it leaves the old one, and after it the new one. `aside` is
 * where all that there was goes, to be removed with the rest of the build.
 */
export async function commitCache(
  config: Place,
  app: Cached,
  { from, aside }: { from: string; aside: string },
): Promise<void> {
  const folder = stackFolder(config, app)
  await endCopy(app.id)
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, `${NOTE}-${randomUUID()}`), await bootId(), { flush: true })
  await rename(from, join(folder, 'next'))
  await failpoint('cache.next')
  await adopt(cacheFolder(config, app.id), app.stack, aside)
}

/** Has the next cache of a stack take the place of what an app (whose folder is `root`) has, all of which goes to `aside`. */
async function adopt(root: string, stack: string, aside: string): Promise<void> {
  const folder = join(root, stack)
  await mkdir(aside, { recursive: true })
  for (const other of await readdir(root)) if (other !== stack) await renamed(join(root, other), join(aside, other))
  for (const name of await readdir(folder))
    if (!['next', basename(aside)].includes(name) && !name.startsWith(NOTE))
      await renamed(join(folder, name), join(aside, name))
  await rename(join(folder, 'next'), join(folder, 'kept'))
}

/** The same for what a crash, or a full disk, has left so. */
async function adoptInPlace(root: string, stack: string): Promise<void> {
  if (!(await exists(join(root, stack, 'next')))) return
  const aside = join(root, stack, `part-${randomUUID()}`)
  await adopt(root, stack, aside)
  await removeTree(aside)
}

/** When the daemon stops: copies that are being made are given up. */
export async function endCopies(): Promise<void> {
  for (const { abort } of copying.values()) abort.abort()
  await Promise.all([...copying.values()].map(({ ended }) => ended))
}

/** The app has no cache any more; what there was is at `aside`, for the caller to remove. */
export async function setAside(config: Place, app: string, aside: string): Promise<void> {
  await endCopy(app)
  await renamed(cacheFolder(config, app), aside)
}

async function endCopy(app: string): Promise<void> {
  copying.get(app)?.abort.abort()
  await copying.get(app)?.ended
}

/**
 * Copies the app's cache for its next build, unless there is a copy. Nobody waits for it; what goes wrong is logged, and the next build
 * copies by itself.
 */
export function spareCache(d: Daemon, app: Cached): void {
  if (copying.has(app.id)) return
  const abort = new AbortController()
  const folder = stackFolder(d.config, app)
  const failed = (error: unknown) => {
    if (!abort.signal.aborted) d.log.warn('a cache was not copied', { app: app.id, reason: messageOf(error) })
  }
  const ended = copy(d.config, folder, abort.signal)
    .catch(failed)
    .finally(() => copying.delete(app.id))
  copying.set(app.id, { abort, ended })
  void ended.then(() => settle(folder)).catch(failed)
}

async function copy(config: Place, folder: string, signal: AbortSignal): Promise<void> {
  const kept = join(folder, 'kept')
  const spare = join(folder, await spareName())
  for (const name of await readdir(folder).catch(() => []))
    if (name.startsWith('part-')) await removeTree(join(folder, name))
  if (!(await exists(kept)) || (await exists(spare))) return
  await requireRoom(config.data, await sizeOf(kept))
  const part = join(folder, `part-${randomUUID()}`)
  try {
    await run('cp', ['-a', '--reflink=auto', kept, part], { signal })
    await failpoint('cache.copied')
    await rename(part, spare)
  } finally {
    await removeTree(part)
  }
}

/** Has what is kept on disk, which may take long on a busy one: no build waits for that, and the note of one that comes meanwhile stays. */
async function settle(folder: string): Promise<void> {
  const notes = await notesIn(folder)
  if (notes.length === 0) return
  await run('sync', ['-f', folder])
  for (const note of notes) await rm(note, { force: true })
}

/**
 * At start, when nothing is copied: finishes what a crash cut off, and removes copies that it did. What cannot be finished, on a full disk for
 * one, the app's next build tries again.
 */
export async function recoverCaches(d: Daemon): Promise<void> {
  const root = join(d.config.data, 'cache')
  for (const app of await readdir(root).catch(() => []))
    for (const stack of await readdir(join(root, app)).catch(() => [])) {
      await adoptInPlace(join(root, app), stack).catch((error: unknown) =>
        d.log.warn('a cache is not in its place yet', { app, reason: messageOf(error) }),
      )
      for (const name of await readdir(join(root, app, stack)).catch(() => []))
        if (name.startsWith('part-')) await removeTree(join(root, app, stack, name))
    }
}

/** Copies that wait for a build, and what is left of those that were not finished. */
export interface Spare {
  app: string
  path: string
  /** A build may take it. */
  usable: boolean
  /** ms */
  made: number
}

export async function* spares(d: Pick<Daemon, 'config'>): AsyncGenerator<Spare> {
  const root = join(d.config.data, 'cache')
  const current = await spareName()
  for (const app of await readdir(root).catch(() => []))
    for (const stack of await readdir(join(root, app)).catch(() => []))
      for (const name of await readdir(join(root, app, stack)).catch(() => [])) {
        if (!/^(spare|part)-/.test(name)) continue
        const path = join(root, app, stack, name)
        const { ctimeMs } = await stat(path).catch(() => ({ ctimeMs: 0 }))
        yield { app, path, usable: name === current || name.startsWith('part-'), made: ctimeMs }
      }
}

/** Aside first, so that no build takes what is half gone. False when one has taken it. */
export async function dropSpare({ path }: Spare): Promise<boolean> {
  const aside = join(dirname(path), `part-${randomUUID()}`)
  if (!(await renamed(path, aside))) return false
  await removeTree(aside)
  return true
}

/** Every hour: copies that no build has taken for an hour go, and those of an earlier boot. */
export async function sweepSpares(d: Daemon): Promise<void> {
  for await (const spare of spares(d))
    if (!spare.usable || d.clock.now() - spare.made >= limits.spareCache) await dropSpare(spare)
}

/** The app's next build starts without a cache, and without layers of the last one. False when there is none, or while one goes on. */
export async function dropCache(d: Daemon, app: { id: string; name: string }): Promise<boolean> {
  const aside = buildFolder(d.config, randomUUID())
  await mkdir(dirname(aside), { recursive: true })
  const layers = (await cacheOf(d, app.id)).length > 0
  if (!layers && !(await exists(cacheFolder(d.config, app.id)))) return false
  try {
    await betweenBuilds(d, app, () => setAside(d.config, app.id, aside))
  } catch (error) {
    if (error instanceof UserError) return false
    throw error
  }
  await removeTree(aside)
  await forgetCache(d, app.id)
  return true
}

/**
 * The next build starts from nothing, even when it is of a source that was built before, and asks anew for its buildpacks. Throws a
 * conflict while one goes on.
 */
export async function purgeCache(d: Daemon, app: { id: string; name: string }, account: Actor): Promise<void> {
  // Aside first, so that nobody's change waits for the removal of many files. What a crash leaves goes at start, as of a build.
  const aside = buildFolder(d.config, randomUUID())
  await mkdir(dirname(aside), { recursive: true })
  await betweenBuilds(d, app, async (tx) => {
    await setAside(d.config, app.id, aside)
    await forgetKeys(tx, app.id)
    await record(tx, account, { app: app.id, text: 'Purged the build cache', now: d.clock.now() })
  })
  await forgetCache(d, app.id)
  await removeTree(aside)
  await forgetFetched(d, app.id)
}

/** For an app that is being destroyed. */
export async function removeCache(d: Pick<Daemon, 'config' | 'engine'>, app: string): Promise<void> {
  await forgetCache(d, app)
  const aside = buildFolder(d.config, randomUUID())
  await mkdir(dirname(aside), { recursive: true })
  await setAside(d.config, app, aside)
  await removeTree(aside)
}

/** Bytes that a folder takes on disk. */
export const sizeOf = async (folder: string): Promise<number> =>
  Number.parseInt(await run('du', ['-sk', folder], { anyExit: true }), 10) * 1024

async function removeUnsettled(folder: string): Promise<void> {
  for (const note of await notesIn(folder)) {
    const boot = await readFile(note, 'utf8').catch(() => undefined)
    if (boot !== undefined && !boot.startsWith(await bootId())) return removeTree(folder)
  }
}

/** What the names of notes begin with; an older daemon's has no more. */
const NOTE = 'unsettled'
const notesIn = async (folder: string): Promise<string[]> =>
  (await readdir(folder).catch(() => [])).filter((name) => name.startsWith(NOTE)).map((name) => join(folder, name))

const cacheFolder = (config: Place, app: string): string => join(config.data, 'cache', app)
const stackFolder = (config: Place, { id, stack }: Cached): string => join(cacheFolder(config, id), stack)
const spareName = async (): Promise<string> => `spare-${await bootId()}`

/** False when there is nothing to rename. */
const renamed = (from: string, to: string): Promise<boolean> =>
  rename(from, to).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false
      throw error
    },
  )
