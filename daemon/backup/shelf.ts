import { type FileHandle, mkdir, open, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Config } from '../config.ts'
import { isDiskFull, notFound, UserError } from '../errors.ts'

/** The folder with the backups of this platform, which are what their names say. */
export interface Backup {
  name: string
  /** bytes */
  size: number
  /** When it was begun, ms. */
  at: number
  encrypted: boolean
}

type Place = Pick<Config, 'backups'>

const NAME = /^sluice-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z\.tar\.zst(\.encrypted)?$/
const PART = '.part'

/** `sluice-20261128T031500Z.tar.zst` */
export const nameOf = (at: number, encrypted: boolean): string =>
  `sluice-${new Date(at).toISOString().replace(/[-:]|\.\d+/g, '')}.tar.zst${encrypted ? '.encrypted' : ''}`

export const partOf = (path: string): string => `${path}${PART}`

/**
 * Makes the folder, and tries whether a file can be put there: who may do so by which capability no question to the kernel tells. Throws a
 * UserError that says what to do when it cannot be.
 */
export async function openShelf({ backups, supervisor }: Pick<Config, 'backups' | 'supervisor'>): Promise<void> {
  const tried = partOf(join(backups.folder, nameOf(0, false)))
  try {
    await makeFolder(backups.folder)
    await writeFile(tried, '', { mode: 0o600 })
    await rm(tried, { force: true })
  } catch (error) {
    if (isDiskFull(error)) throw error
    throw new UserError('internal_server_error', wordsOf(error, backups.folder, supervisor !== undefined))
  }
}

/** Of a file system that is mounted read-only Node's own way, `recursive`, says that it is not there. */
async function makeFolder(path: string): Promise<void> {
  try {
    await makeOne(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || path === dirname(path)) throw error
    await makeFolder(dirname(path))
    await makeOne(path)
  }
}

const makeOne = (path: string): Promise<void> =>
  mkdir(path, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })

/** `bounded`: by the unit, which lets the daemon write to its own folder alone. Pure. */
export function wordsOf(error: unknown, folder: string, bounded: boolean): string {
  const { code } = error as NodeJS.ErrnoException
  const where = `${folder} (SLUICE_BACKUPS)`
  if (code === 'EROFS' && bounded)
    return `The daemon's unit does not let it write to ${where}. Make the folder for it (install -d -o sluice -g sluice -m 0700 ${folder}), put the lines "[Service]" and "ReadWritePaths=${folder}" into a drop-in (systemctl edit sluiced), then: systemctl restart sluiced`
  if (code === 'EROFS') return `${where} is mounted read-only. Mount it for writing, or name another folder.`
  if (code === 'EACCES' || code === 'EPERM')
    return `The daemon may not write to ${where}. Give the folder to its user, ${bounded ? 'sluice, at a place outside of /home and /root' : 'or name another'}.`
  return `${where} cannot be a folder for backups (${code}). Name another.`
}

/** Newest first. None when the folder is not there, or cannot be read: `openShelf` says so. */
export async function listBackups({ backups }: Place): Promise<Backup[]> {
  const found: Backup[] = []
  for (const name of await namesIn(backups.folder)) {
    const parts = NAME.exec(name)
    if (!parts) continue
    const [, year, month, day, hour, minute, second, encrypted] = parts
    const at = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
    const { size } = await stat(join(backups.folder, name)).catch(() => ({ size: undefined }))
    if (size !== undefined) found.push({ name, size, at, encrypted: encrypted !== undefined })
  }
  return found.sort((a, b) => b.at - a.at)
}

export async function findBackup(config: Place, name: string): Promise<Backup> {
  const backup = (await listBackups(config)).find((one) => one.name === name)
  if (!backup) throw notFound('backup', 'backup')
  return backup
}

/** The file is the caller's to close; it can be read to its end, whoever deletes the backup meanwhile. */
export async function openBackup(config: Place, name: string): Promise<{ file: FileHandle; size: number }> {
  await findBackup(config, name)
  const file = await open(join(config.backups.folder, name))
  return { file, size: (await file.stat()).size }
}

export async function deleteBackup(config: Place, name: string): Promise<Backup> {
  const backup = await findBackup(config, name)
  await rm(join(config.backups.folder, name), { force: true })
  return backup
}

/** Deletes all but the newest; tells which. */
export async function prune(config: Place): Promise<string[]> {
  const old = (await listBackups(config)).slice(config.backups.keep).map(({ name }) => name)
  for (const name of old) await rm(join(config.backups.folder, name), { force: true })
  return old
}

/** What a crash has left of one that was being made. */
export async function sweepParts({ backups }: Place): Promise<void> {
  for (const name of await namesIn(backups.folder))
    if (name.endsWith(PART) && NAME.test(name.slice(0, -PART.length)))
      await rm(join(backups.folder, name), { force: true })
}

const namesIn = (folder: string): Promise<string[]> => readdir(folder).catch(() => [])
