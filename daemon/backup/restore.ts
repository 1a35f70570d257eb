import { createReadStream } from 'node:fs'
import { chmod, chown, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { run } from '../build/command.ts'
import { formatSize } from '../build/output.ts'
import type { Config } from '../config.ts'
import type { Images } from '../engine/engine.ts'
import { isDiskFull, messageOf } from '../errors.ts'
import { remakeRepository } from '../git/copy.ts'
import { limits } from '../limits.ts'
import { removeTree } from '../remove.ts'
import { imagesOf } from '../run/code.ts'
import { deleteDyno } from '../run/dyno.ts'
import { flush } from '../run/tree.ts'
import { spaceOf } from '../space.ts'
import { openDatabase } from '../store/database.ts'
import { migrations } from '../store/migrations.ts'
import { readArchive, type Taker } from './archive.ts'
import { DATA, filesOf, IMAGES, PACK } from './content.ts'
import { BackupError } from './fault.ts'
import type { Manifest } from './manifest.ts'
import { damaged, type Head } from './tar.ts'
import { isKept, verdicts } from './verdict.ts'

/**
 * Restores a backup into a data folder that has no platform in it.
 *
 *   empty -- unpacked into its folder `restore`, all sums right --> unpacked -- repositories, rows, images made ready --> ready
 *   ready -- each file and folder moved to its place, the database last --> restored -- `restore` removed --> a data folder
 *
 * Until the database is in its place nothing counts: after a failure or a crash what was moved is removed, now or by the next try, and
 * a daemon does not start (`requireWhole`). A power cut comes too late after the first of the moves, because all is on disk by then.
 */
const WORK = 'restore'
const PID = 'pid'
const DATABASE = 'sluice.db'

export interface Restore {
  config: Pick<Config, 'data'>
  passphrase: string | undefined
  /** Of the engine that will run the platform with this installation's id; asked for when the backup has images. */
  images(installation: string): Promise<Pick<Images, 'load' | 'inspect' | 'keep'>>
  tell(line: string): void
}

/** Throws BackupError, and leaves nothing then. Gives what the backup says of itself. */
export async function restore(path: string, asked: Restore): Promise<Manifest> {
  const { data } = asked.config
  await requireEmpty(data)
  const work = join(data, WORK)
  await mkdir(work, { recursive: true, mode: 0o700 })
  await writeFile(join(work, PID), String(process.pid))
  try {
    const manifest = await readArchive(path, asked.passphrase, unpackInto(work, asked))
    const ready = join(work, DATA)
    await remakeRepositories(join(ready, 'repos'))
    const held = await prepareRows(join(ready, DATABASE))
    await giveToOwner(ready, data)
    await run('sync', ['-f', work])
    await loadImages(work, held, asked)
    await place(ready, data)
    await removeTree(work)
    return manifest
  } catch (error) {
    await undo(data)
    throw inWords(error, data)
  }
}

/** For a daemon that starts. Throws when a restore into its data folder did not come to its end; finishes one that did. */
export async function requireWhole(data: string): Promise<void> {
  if (!(await isThere(join(data, WORK)))) return
  if (!(await isThere(join(data, DATABASE))))
    throw new Error(
      `A restore into ${data} goes on, or did not come to its end. Wait for it, or run it again: sluice restore FILE`,
    )
  await removeTree(join(data, WORK))
}

async function requireEmpty(data: string): Promise<void> {
  if (await isThere(join(data, DATABASE)))
    throw new BackupError(
      `There is a platform in ${data} already, and a restore would take its place. Name an empty folder, SLUICE_DATA=…, or stop it and put it aside: mv ${data} ${data}.old`,
    )
  await requireAlone(data)
  if (await isThere(join(data, WORK))) await undo(data)
  const there = (await readdir(data).catch(() => [])).filter(isKept)
  if (there.length > 0)
    throw new BackupError(
      `There is something of a platform in ${data} already (${there.join(', ')}). Name an empty folder, SLUICE_DATA=…, or put it aside: mv ${data} ${data}.old`,
    )
}

/** The number of a process that has ended may be another program's by now. */
async function requireAlone(data: string): Promise<void> {
  const pid = Number(await readFile(join(data, WORK, PID), 'utf8').catch(() => ''))
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  if (pid > 0 && pid !== process.pid && command.includes('\0restore\0'))
    throw new BackupError(`A restore into ${data} goes on (process ${pid}). Wait for its end.`)
}

/** Of a restore that did not come to its end. */
async function undo(data: string): Promise<void> {
  if (await isThere(join(data, DATABASE))) return
  for (const name of Object.keys(verdicts).filter(isKept)) await removeTree(join(data, name))
  await removeTree(join(data, WORK))
}

/** Each file where it belongs, below `work`. */
function unpackInto(work: string, { tell }: Restore): Taker {
  let looked = 0
  const room = async (bytes: number): Promise<void> => {
    looked += bytes
    if (looked < limits.backupLook) return
    looked = 0
    await requireRoom(work, 0)
  }
  return {
    async manifest(manifest) {
      const { host, made_at, sluice, schema, bytes } = manifest
      if (schema > migrations.length)
        throw new BackupError(`It was made by a newer Sluice (${sluice}). Install that one, and try again.`)
      tell(`A backup of ${host}, made at ${made_at} by Sluice ${sluice}: ${formatSize(bytes)}`)
      await requireRoom(work, bytes)
    },
    async folder(head) {
      const path = placeOf(work, head)
      await mkdir(path, { mode: 0o700 })
      await setRights(path, head)
    },
    async file(head, content) {
      const path = placeOf(work, head)
      const file = await open(path, 'wx', 0o600)
      try {
        for await (const piece of content) {
          await file.appendFile(piece)
          await room(piece.length)
        }
      } finally {
        await file.close()
      }
      await setRights(path, head)
    },
  }
}

/** What a backup has of a repository. git would run others: hooks, and what its settings name. */
const REPOSITORY = /^[^/]+\.git(\/(HEAD|packed-refs|shallow|pack\.\d+))?$/

/** Only where something of a backup can be; tar.ts has refused names that lead elsewhere. */
function placeOf(work: string, { name }: Head): string {
  const [top, below, ...rest] = name.split('/')
  const ofGit = below !== 'repos' || rest.length === 0 || REPOSITORY.test(rest.join('/'))
  const known = top === DATA ? below === undefined || (isKept(below) && ofGit) : top === IMAGES
  if (!known) throw new BackupError(`It has ${name}, which this Sluice knows nothing of.`)
  return join(work, name)
}

/** What the image registry has belongs to a user of its own, with the same number everywhere. */
async function setRights(path: string, { name, mode, owner }: Head): Promise<void> {
  await chmod(path, mode)
  if (isRoot() && name.startsWith(REGISTRY)) await chown(path, owner, owner)
}

const REGISTRY = `${DATA}/registry/`
const isRoot = (): boolean => process.getuid?.() === 0

/** All else belongs to whom the data folder belongs to: under systemd the daemon has a user of its own, and whoever restores is root. */
async function giveToOwner(ready: string, data: string): Promise<void> {
  if (!isRoot()) return
  const { uid, gid } = await stat(data)
  const names = (await readdir(ready)).filter((name) => name !== 'registry')
  await run('chown', ['-R', `${uid}:${gid}`, '--', ...names], { cwd: ready })
}

async function remakeRepositories(repos: string): Promise<void> {
  for (const name of await readdir(repos)) {
    const path = join(repos, name)
    const packs = await filesOf(path, PACK)
    await remakeRepository(path, joined(packs))
    for (const pack of packs) await rm(pack)
  }
}

/** An image's id, and the name that the daemon looks for it under. */
type Held = [id: string, name: string]

/**
 * Brings the rows up to this program, and takes out those of dynos, whose containers are not here: the formation says which are wanted, and the daemon
 * makes them anew; one-off dynos have ended. Gives the images of slugs.
 */
async function prepareRows(path: string): Promise<Held[]> {
  const db = await openDatabase(path)
  try {
    for (const { id } of await db.selectFrom('dynos').select('id').execute()) await deleteDyno(db, id, Date.now())
    const slugs = db.selectFrom('slugs').select(['id', 'images']).where('images', 'is not', null)
    return (await slugs.where('deleted_at', 'is', null).execute()).flatMap((slug) =>
      Object.entries(imagesOf(slug) ?? {}).map(([type, { id }]): Held => [id, `${slug.id}:${type}`]),
    )
  } finally {
    await db.destroy()
  }
}

/** What the engine has taken stays there when something fails after it. */
async function loadImages(work: string, held: Held[], { images: engineOf, tell }: Restore): Promise<void> {
  if (!(await isThere(join(work, IMAGES)))) return
  const images = await engineOf((await readFile(join(work, DATA, 'installation'), 'utf8')).trim())
  tell('Loading the images of apps into the engine')
  await images.load(joined(await filesOf(join(work, IMAGES), '')))
  for (const [id, name] of held) if (await images.inspect(id)) await images.keep(id, name)
}

async function place(from: string, data: string): Promise<void> {
  const names = await readdir(from)
  for (const name of [...names.filter((one) => one !== DATABASE), DATABASE])
    await rename(join(from, name), join(data, name))
  await flush(data)
}

async function requireRoom(folder: string, bytes: number): Promise<void> {
  const { free } = await spaceOf(folder)
  if (free - bytes < limits.diskReserve)
    throw new BackupError(
      `There is no room for it: ${bytes > 0 ? `it takes ${formatSize(bytes)}, and ` : ''}the disk of ${folder} has ${formatSize(free)} left.`,
    )
}

/** Each file is opened when it is its turn. */
const joined = (paths: string[]): Readable =>
  Readable.from(
    (async function* () {
      for (const path of paths) yield* createReadStream(path) as AsyncIterable<Buffer>
    })(),
    { objectMode: false },
  )

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

function inWords(error: unknown, data: string): Error {
  if (error instanceof BackupError) return error
  if (isDiskFull(error)) return new BackupError(`The disk of ${data} is full. Nothing was restored.`)
  const { code } = error as NodeJS.ErrnoException
  if (code === 'EEXIST' || code === 'ENOENT') return damaged()
  return new BackupError(`Nothing was restored: ${messageOf(error)}`)
}
