import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { access, chown, mkdir, open, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../clock.ts'
import { type Config, hostEnvironment } from '../config.ts'
import { DYNO_UID } from '../engine/engine.ts'
import { removeTree } from '../remove.ts'
import { slugArchive, slugFolder, slugTree } from '../store/slug-path.ts'

/**
 * The unpacked files of a slug, beside its archive, from which they are made again whenever a dyno needs them and they are not there.
 *
 *   none -- unpacked (ensureTree) or moved here (placeTree) --> unsettled -- sync of the file system --> settled
 *     ^                                                             +-- the host went down --> unknown: as none
 *     +---------------- no dyno needs it (dropTree) ---------------- any
 *
 * unsettled: the file `unsettled` names the boot of the host in which it was written. A push does not wait for ten thousand small
 * files to reach the disk, and a power cut does not leave half of them to be run. The time of a slug's folder is when it was last used.
 */
type Place = Pick<Config, 'data'>

const note = (config: Place, files: string): string => join(slugFolder(config, files), 'unsettled')
const aside = (config: Place, files: string): string => `${slugTree(config, files)}.next`

/** One thing at a time is done to a tree: by its path, the last that is to be done. */
const turns = new Map<string, Promise<unknown>>()

function inTurn<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  const turn = (turns.get(path) ?? Promise.resolve()).then(work, work)
  turns.set(path, turn)
  const leave = () => turns.get(path) === turn && turns.delete(path)
  turn.then(leave, leave)
  return turn
}

/** Makes `from`, a folder on the same file system, the tree. */
export async function placeTree(config: Place, files: string, from: string): Promise<void> {
  await writeFile(note(config, files), `${await bootId()} ${randomUUID()}`, { flush: true })
  await rename(from, slugTree(config, files))
  await flush(slugFolder(config, files))
}

/** Resolves when the tree is safely on disk. Not to be waited for by anybody in a hurry. */
export async function settleTree(config: Place, files: string): Promise<void> {
  const before = await noteOf(config, files)
  const [code] = await once(spawn('sync', ['-f', slugTree(config, files)], { stdio: 'ignore' }), 'exit')
  if (code !== 0) throw new Error(`the slug ${files} could not be synced (sync ended with ${code})`)
  if ((await noteOf(config, files)) === before) await rm(note(config, files), { force: true })
}

/** Unpacks the archive if there is no tree, or if the host went down before it was settled. */
export const ensureTree = (
  { config, clock }: { config: Place; clock: Pick<Clock, 'now'> },
  files: string,
): Promise<void> =>
  inTurn(slugTree(config, files), async () => {
    if (await isSpoilt(config, files)) await remove(config, files)
    if (!(await exists(slugTree(config, files)))) await unpack(config, files)
    const now = clock.now() / 1000
    await utimes(slugFolder(config, files), now, now)
    if ((await noteOf(config, files)) === undefined) return
    // Nobody waits for the disk here; while it has not answered, the note stays for the next start.
    settleTree(config, files).catch(() => {})
  })

/**
 * Removes the tree unless somebody needs it, which is asked when nobody can come to use it meanwhile: who does has its row first, and waits
 * in `ensureTree`. False when it stays, or is not there.
 */
export const dropTree = (config: Place, files: string, needed: () => Promise<boolean>): Promise<boolean> =>
  inTurn(slugTree(config, files), async () => {
    if (!(await exists(slugTree(config, files))) || (await needed())) return false
    await remove(config, files)
    return true
  })

/** At start, before any dyno: what a crash left half made or half removed goes, and so does a tree that a power cut may have spoilt. */
export const recoverTree = (config: Place, files: string): Promise<void> =>
  inTurn(slugTree(config, files), async () => {
    if (await isSpoilt(config, files)) await remove(config, files)
    else if (await exists(aside(config, files))) await removeTree(aside(config, files))
  })

const noteOf = (config: Place, files: string): Promise<string | undefined> =>
  readFile(note(config, files), 'utf8').catch(() => undefined)

async function isSpoilt(config: Place, files: string): Promise<boolean> {
  const boot = await noteOf(config, files)
  return boot !== undefined && !boot.startsWith(await bootId())
}

/** Aside first, so that no dyno is started on what is half gone. */
async function remove(config: Place, files: string): Promise<void> {
  await removeTree(aside(config, files))
  await rename(slugTree(config, files), aside(config, files)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
  await rm(note(config, files), { force: true })
  await removeTree(aside(config, files))
}

/** What cannot be unpacked, as when the disk is full, leaves nothing: there may never be a next time. */
async function unpack(config: Place, files: string): Promise<void> {
  const next = aside(config, files)
  await removeTree(next)
  try {
    await extract(config, files, next)
    await placeTree(config, files, next)
  } catch (error) {
    await removeTree(next)
    throw error
  }
}

/** As the user of dynos, because the archive may be of a stranger's making: it can make nothing that its own dyno could not make. */
async function extract(config: Place, files: string, next: string): Promise<void> {
  await mkdir(next, { mode: 0o755 })
  await chown(next, DYNO_UID, DYNO_UID)
  const archive = await open(slugArchive(config, files))
  try {
    const tar = spawn('tar', ['-x', '--zstd', '-p', '--no-same-owner', '--strip-components=2', '-f', '-'], {
      cwd: next,
      uid: DYNO_UID,
      gid: DYNO_UID,
      stdio: [archive.fd, 'ignore', 'ignore'],
      env: hostEnvironment(),
    })
    const [code] = await once(tar, 'exit')
    if (code !== 0) throw new Error(`the slug ${files} could not be unpacked (tar ended with ${code})`)
  } finally {
    await archive.close()
  }
}

/** Another one after each start of the host. */
export const bootId = async (): Promise<string> => (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()

export const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

/** Waits until a file, or the names in a folder, are on disk. */
export async function flush(path: string): Promise<void> {
  const file = await open(path)
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
