import { createHash, randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Daemon } from '../../daemon.ts'
import { messageOf } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { flush } from '../../run/tree.ts'

/**
 * Buildpacks that were fetched, in `$SLUICE_DATA/buildpacks`: `<key>-<revision>.tar` is one version, whole or not there; `<key>.json` says
 * which version a reference was when it was last asked for, so that it can be had without the network. A key is the hash of all that the
 * reference says, with its password: what one app may read is not given to another that only knows the commit.
 *
 * A file's time is when a build used it last. So what a build has just taken is never what the sweep removes.
 */
export interface Kept {
  archive: string
  /** The commit, or the hash of the archive. */
  revision: string
}

/** What a reference was when it was last asked for. */
export interface Known extends Kept {
  /** For the server, to ask whether there is another version. */
  etag: string | undefined
  /** When, in ms. */
  at: number
}

type Place = Pick<Daemon, 'config' | 'clock'>

const folderOf = ({ config }: Pick<Daemon, 'config'>): string => join(config.data, 'buildpacks')
const hash = (text: string): string => createHash('sha256').update(text).digest('hex')
const indexOf = (d: Place, reference: string): string => join(folderOf(d), `${hash(reference)}.json`)

export async function shelfFolder(d: Pick<Daemon, 'config'>): Promise<string> {
  const folder = folderOf(d)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  return folder
}

/** Where a version is, or will be. `source` is what it comes from. */
export const archiveOf = (d: Place, source: string, revision: string): string =>
  join(folderOf(d), `${hash(source)}-${revision}.tar`)

/** Whether it is there; then it stays for this build. */
export async function take(d: Place, archive: string): Promise<boolean> {
  const now = d.clock.now() / 1000
  return utimes(archive, now, now).then(
    () => true,
    () => false,
  )
}

export async function remember(d: Place, reference: string, { archive, revision, etag, at }: Known): Promise<void> {
  const next = join(folderOf(d), `${randomUUID()}.part`)
  await writeFile(next, JSON.stringify({ archive: basename(archive), revision, etag, at }))
  await flush(next)
  await rename(next, indexOf(d, reference))
  await Promise.all([take(d, archive), take(d, indexOf(d, reference))])
}

/** What the reference was, if that is still there. */
export async function known(d: Place, reference: string): Promise<Known | undefined> {
  const index = indexOf(d, reference)
  const found: Known | undefined = await readFile(index, 'utf8')
    .then(JSON.parse)
    .catch(() => undefined)
  if (!found) return undefined
  const archive = join(folderOf(d), found.archive)
  if (!(await take(d, archive))) return undefined
  await take(d, index)
  return { ...found, archive }
}

/** The next build has to ask; builds that go on keep what they have. */
export async function forget(d: Place, references: readonly string[]): Promise<void> {
  for (const reference of references) await rm(indexOf(d, reference), { force: true })
}

/** What is kept, or on its way. */
export interface Shelved {
  name: string
  path: string
  size: number
  /** When a build took it last. */
  used: number
}

/** Used last first. */
export async function shelf(d: Pick<Daemon, 'config'>): Promise<Shelved[]> {
  const folder = await shelfFolder(d)
  const found: Shelved[] = []
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    const there = await stat(path).catch(() => undefined)
    if (there) found.push({ name, path, size: there.size, used: there.mtimeMs })
  }
  return found.toSorted((a, b) => b.used - a.used)
}

/** No build that goes on uses it: builds are shorter than that. */
export const isIdle = (d: Pick<Daemon, 'clock'>, { used }: Shelved): boolean => d.clock.now() - used > limits.sweep

/** False when a build has taken it meanwhile, or it cannot be removed. */
export async function discardShelved(d: Pick<Daemon, 'log'>, { path, used }: Shelved): Promise<boolean> {
  if ((await stat(path).catch(() => undefined))?.mtimeMs !== used) return false
  try {
    await rm(path, { recursive: true, force: true })
    return true
  } catch (error) {
    d.log.warn('a fetched buildpack could not be removed', { path, reason: messageOf(error) })
    return false
  }
}

/**
 * Every hour: what no build has used for limits.buildpackKept goes, and of the rest what was used longest ago beyond limits.buildpacksSize,
 * but nothing that a build may be using now.
 */
export async function sweepShelf(d: Pick<Daemon, 'config' | 'clock' | 'log'>): Promise<void> {
  let size = 0
  for (const shelved of await shelf(d)) {
    size += shelved.size
    const old = isPart(shelved) ? isIdle(d, shelved) : d.clock.now() - shelved.used > limits.buildpackKept
    const much = size > limits.buildpacksSize && isIdle(d, shelved)
    if ((old || much) && (await discardShelved(d, shelved))) size -= shelved.size
  }
}

const isPart = ({ name }: Shelved): boolean => /\.part(\.|$)/.test(name)
