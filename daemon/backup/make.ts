import { open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { formatSize } from '../build/output.ts'
import type { Daemon } from '../daemon.ts'
import { UserError } from '../errors.ts'
import { failpoint } from '../failpoint.ts'
import { limits } from '../limits.ts'
import { flush } from '../run/tree.ts'
import { type Space, spaceOf } from '../space.ts'
import { writeArchive } from './archive.ts'
import { type Capture, capture, letGo } from './capture.ts'
import { readPassphrase } from './cipher.ts'
import { partsOf } from './content.ts'
import { manifestOf } from './manifest.ts'
import { type Backup, findBackup, listBackups, nameOf, openShelf, partOf } from './shelf.ts'

export interface Progress {
  /** Bytes that were read, of about so many. */
  done: number
  of: number
}

/**
 * Makes one backup: holds what there is (`capture.ts`), writes it under a passing name, to the disk, and gives it its own. The rest of the daemon goes on
 * meanwhile; only blobs of pushed images are not collected. A crash leaves what the next start removes.
 */
export async function makeBackup(d: Daemon, tell: (progress: Progress) => void, signal: AbortSignal): Promise<Backup> {
  const { folder, passphraseFile } = d.config.backups
  const passphrase = passphraseFile === undefined ? undefined : await readPassphrase(passphraseFile)
  await openShelf(d.config)
  await d.disk.makeRoom()
  await requireRoom(folder, 0)
  const at = await freeMoment(d)
  const name = nameOf(at, passphrase !== undefined)
  const part = partOf(join(folder, name))
  try {
    await d.registry.write(async () => {
      const captured = await capture(d)
      await failpoint('backup.captured')
      if (captured.missing.length > 0) d.log.warn('a backup lacks what is not there', { missing: captured.missing })
      await requireRoom(folder, captured.bytes)
      if (captured.images.length > 0) await requireEngineRoom(d, captured)
      await write(d, captured, { part, at, passphrase, tell, signal })
    })
    await failpoint('backup.written')
    await rename(part, join(folder, name))
    await flush(folder)
  } finally {
    await letGo(d)
    await rm(part, { force: true })
  }
  return findBackup(d.config, name)
}

interface Written {
  part: string
  at: number
  passphrase: string | undefined
  tell(progress: Progress): void
  signal: AbortSignal
}

async function write(d: Daemon, captured: Capture, { part, at, passphrase, tell, signal }: Written): Promise<void> {
  const manifest = manifestOf(d.config, { ...captured, at })
  const file = await open(part, 'wx', 0o600)
  const sums = await open(join(captured.folder, 'sums'), 'wx+', 0o600)
  const progress = { done: 0, of: captured.bytes }
  let looked = 0
  tell(progress)
  try {
    await writeArchive(file, partsOf(d, captured, manifest), {
      ...{ passphrase, signal, sums },
      read(bytes) {
        progress.done += bytes
        tell(progress)
      },
      async wrote(bytes) {
        looked += bytes
        if (looked < limits.backupLook) return
        looked = 0
        await requireRoom(d.config.backups.folder, 0)
      },
    })
  } finally {
    await sums.close()
    await file.close()
  }
}

/** There is one in a second. */
async function freeMoment(d: Daemon): Promise<number> {
  const [newest] = await listBackups(d.config)
  const now = d.clock.now()
  return newest === undefined ? now : Math.max(now, newest.at + 1000)
}

async function requireRoom(folder: string, bytes: number): Promise<void> {
  requireSpace(await spaceOf(folder), bytes, `the disk of ${folder}`)
}

/** It puts all images together on its own disk before it gives them out. */
async function requireEngineRoom(d: Daemon, { bytes }: Capture): Promise<void> {
  requireSpace(await d.engine.images.space(), bytes, 'the disk of the Docker engine')
}

function requireSpace({ free }: Space, bytes: number, where: string): void {
  if (free - bytes >= limits.diskReserve) return
  const wanted = bytes > 0 ? `takes up to ${formatSize(bytes)}` : 'needs more'
  throw new UserError(
    'internal_server_error',
    `There is no room for a backup: it ${wanted}, and ${where} has ${formatSize(free)} left. Free some (sluice disk), or set SLUICE_BACKUPS to a folder on another disk.`,
  )
}
