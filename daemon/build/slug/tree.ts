import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, chown, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Config, hostEnvironment } from '../../config.ts'
import { DYNO_UID } from '../../engine/engine.ts'
import { removeTree } from '../../remove.ts'
import { slugArchive, slugFolder, slugTree } from '../../store/slug-path.ts'
import { run } from '../command.ts'

/**
 * The unpacked files of a slug, beside its archive.
 *
 *   (unpacked or moved here) --> unsettled -- sync of the file system --> settled
 *                                   +-- the host went down --> unknown: unpacked again from the archive, which was on disk before
 *
 * unsettled: the file `unsettled` names the boot of the host in which it was written. A push does not wait for ten thousand small
 * files to reach the disk, and a power cut does not leave half of them to be run.
 */
type Place = Pick<Config, 'data'>

const note = (config: Place, files: string): string => join(slugFolder(config, files), 'unsettled')

/** Makes `from`, a folder on the same file system, the tree. */
export async function placeTree(config: Place, files: string, from: string): Promise<void> {
  await writeFile(note(config, files), await bootId(), { flush: true })
  await rename(from, slugTree(config, files))
  await flush(slugFolder(config, files))
}

/** Resolves when the tree is safely on disk. Not to be waited for by anybody in a hurry. */
export async function settleTree(config: Place, files: string): Promise<void> {
  await run('sync', ['-f', slugTree(config, files)])
  await rm(note(config, files), { force: true })
}

/** Unpacks the archive again if there is no tree, or if the host went down before it was settled. Only while no dyno uses it. */
export async function ensureTree(config: Place, files: string): Promise<void> {
  const boot = await readFile(note(config, files), 'utf8').catch(() => undefined)
  const lost = boot !== undefined && boot !== (await bootId())
  if (lost) await removeTree(slugTree(config, files))
  if (lost || !(await exists(slugTree(config, files)))) await unpack(config, files)
  else if (boot === undefined) return
  // Nobody waits for the disk here; while it has not answered, the note stays for the next start.
  settleTree(config, files).catch(() => {})
}

/** As the user of dynos, because the archive may be of a stranger's making: it can make nothing that its own dyno could not make. */
async function unpack(config: Place, files: string): Promise<void> {
  const next = `${slugTree(config, files)}.next`
  await removeTree(next)
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
  await placeTree(config, files, next)
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
