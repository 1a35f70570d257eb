import { constants } from 'node:fs'
import { type FileHandle, lstat, open, readdir, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type { Daemon } from '../daemon.ts'
import { packOf } from '../git/copy.ts'
import { limits } from '../limits.ts'
import { MANIFEST, type Part } from './archive.ts'
import type { Capture } from './capture.ts'
import type { Manifest } from './manifest.ts'
import { isName } from './tar.ts'
import { type How, verdicts } from './verdict.ts'

/**
 * Everything that a backup holds, in its order: the manifest; below `data/` what verdict.ts has of the data folder, as it will be there; the
 * objects of each repository and all images as numbered files, one after the other a pack (of git) and an archive (of `docker save`).
 */
export const DATA = 'data'
export const IMAGES = 'images'
export const PACK = 'pack.'

export async function* partsOf(d: Daemon, capture: Capture, manifest: Manifest): AsyncGenerator<Part> {
  const left = { count: 0, some: [] as string[] }
  const leave = (path: string): void => {
    if (left.count++ < SHOWN) left.some.push(path)
  }
  yield textPart(MANIFEST, `${JSON.stringify(manifest, null, 2)}\n`)
  yield folderPart(DATA)
  for (const [name, verdict] of Object.entries(verdicts))
    if ('kept' in verdict) yield* kinds[verdict.kept](d, { ...capture, leave }, name)
  if (left.count > 0) d.log.warn('a backup leaves out what is none of ours', left)
  if (capture.images.length === 0) return
  yield folderPart(IMAGES)
  yield* numbered(`${IMAGES}/`, await d.engine.images.save(capture.images))
}

/** Paths in a line of the log. */
const SHOWN = 10

interface Taken extends Capture {
  /** Hears of what somebody has put among our files and an archive does not hold: odd names, links, pipes. */
  leave(path: string): void
}

const kinds: Record<How, (d: Daemon, taken: Taken, name: string) => AsyncGenerator<Part>> = {
  whole: ({ config }, taken, name) => walk(taken, join(config.data, name), `${DATA}/${name}`),
  /** Without it all the rest is worth little. systemd may hand it in; a restore puts it into the data folder. */
  async *key({ config }, _, name) {
    const handed = config.credentials === undefined ? undefined : join(config.credentials, name)
    const path = handed !== undefined && (await isThere(handed)) ? handed : join(config.data, name)
    if (!(await isThere(path))) throw new Error(`there is no ${path}`)
    // a credential is readable for a group, too
    for await (const part of filePart(path, `${DATA}/${name}`)) yield { ...part, mode: 0o600 }
  },
  async *transcripts({ config }, { transcripts }, name) {
    yield* folder(join(config.data, name), `${DATA}/${name}`)
    for (const one of transcripts) yield* filePart(join(config.data, name, one), `${DATA}/${name}/${one}`)
  },
  async *logs({ config }, taken, name) {
    yield* folder(join(config.data, name), `${DATA}/${name}`)
    for (const app of taken.apps) yield* walk(taken, join(config.data, name, app), `${DATA}/${name}/${app}`)
  },
  async *database(_, { folder }, name) {
    yield* filePart(join(folder, name), `${DATA}/${name}`)
  },
  async *slugs(_, { folder, slugs }, name) {
    yield folderPart(`${DATA}/${name}`, 0o755)
    for (const files of slugs) {
      yield folderPart(`${DATA}/${name}/${files}`, 0o755)
      yield* filePart(join(folder, 'slugs', files), `${DATA}/${name}/${files}/archive.tar.zst`)
    }
  },
  async *repositories({ config }, { repositories }, name) {
    yield folderPart(`${DATA}/${name}`)
    for (const { app, refs } of repositories) {
      // Of an app that was destroyed meanwhile there is nothing more to have.
      if (!(await isThere(join(config.data, name, `${app}.git`)))) continue
      const path = `${DATA}/${name}/${app}.git`
      yield folderPart(path)
      yield textPart(`${path}/HEAD`, refs.head)
      yield textPart(`${path}/packed-refs`, refs.refs)
      if (refs.shallow !== undefined) yield textPart(`${path}/shallow`, refs.shallow)
      yield* numbered(`${path}/${PACK}`, packOf(config.data, app, refs))
    }
  },
  /** Names before the blobs that they are of: whoever pushes meanwhile writes them the other way round. Half uploads are nothing. */
  async *registry({ config, registry }, taken) {
    if (registry.storage === undefined) return
    const path = relative(config.data, registry.storage).split('/')
    for (let n = 1; n <= path.length; n++)
      yield* folder(join(config.data, ...path.slice(0, n)), [DATA, ...path.slice(0, n)].join('/'))
    const repositories = [DATA, ...path].join('/')
    for (const app of taken.apps)
      yield* walk(taken, join(registry.storage, app), `${repositories}/${app}`, (one) => one !== '_uploads')
    yield* walk(taken, join(registry.storage, '..', 'blobs'), join(repositories, '..', 'blobs'))
  },
}

/** A file, or a folder and all files and folders in it. What goes meanwhile is left out. */
async function* walk(
  taken: Pick<Taken, 'leave'>,
  path: string,
  name: string,
  takes = (_: string): boolean => true,
): AsyncGenerator<Part> {
  const found = await stat(path).catch(() => undefined)
  if (found === undefined) return
  if (!isName(name) || !(found.isDirectory() || (found.isFile() && !(await isLink(path))))) return taken.leave(path)
  if (found.isFile()) return yield* filePart(path, name)
  yield* folder(path, name)
  for (const one of (await readdir(path).catch(() => [])).sort())
    if (takes(one)) yield* walk(taken, join(path, one), `${name}/${one}`, takes)
}

const isLink = (path: string): Promise<boolean> =>
  lstat(path).then(
    (found) => found.isSymbolicLink(),
    () => false,
  )

async function* folder(path: string, name: string): AsyncGenerator<Part> {
  const found = await stat(path).catch(() => undefined)
  if (found) yield { ...folderPart(name, found.mode & 0o777), owner: found.uid }
}

/** So large a file may still be written to, and become shorter. */
const AT_ONCE = 2 * limits.backupPart

/** As long as it is now, whatever is written to it from now on. */
async function* filePart(path: string, name: string): AsyncGenerator<Part> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    return undefined
  })
  if (!file) return
  try {
    const { size, mode, uid } = await file.stat()
    const head = { kind: 'file', name, mode: mode & 0o777, owner: uid } as const
    if (size > AT_ONCE) yield { ...head, size, content: contentOf(file, size) }
    else {
      const content = await readUpTo(file, size)
      yield { ...head, size: content.length, content: [content] }
    }
  } finally {
    await file.close()
  }
}

const contentOf = (file: FileHandle, size: number) =>
  file.createReadStream({ start: 0, end: size - 1, autoClose: false, highWaterMark: READ }) as AsyncIterable<Buffer>

const READ = 256 * 1024

async function readUpTo(file: FileHandle, size: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(size), position: 0 })
  return buffer.subarray(0, bytesRead)
}

const folderPart = (name: string, mode = 0o700): Part => ({
  ...{ kind: 'folder', name, mode, owner: 0, size: 0, content: [] },
})

function textPart(name: string, text: string): Part {
  const content = Buffer.from(text)
  return { kind: 'file', name, mode: 0o600, owner: 0, size: content.length, content: [content] }
}

/** What comes, of a length that nobody knows, as files of which the name ends with a number. */
async function* numbered(name: string, content: AsyncIterable<Buffer>): AsyncGenerator<Part> {
  let pieces: Buffer[] = []
  let size = 0
  let n = 0
  const part = (): Part => {
    const file = { ...textPart(`${name}${String(n++).padStart(DIGITS, '0')}`, ''), size, content: pieces }
    pieces = []
    size = 0
    return file
  }
  for await (const piece of content) {
    pieces.push(piece)
    size += piece.length
    if (size >= limits.backupPart) yield part()
  }
  if (size > 0) yield part()
}

const DIGITS = 8

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

/** The numbered files of a folder whose names begin so, in their order. */
export async function filesOf(folder: string, prefix: string): Promise<string[]> {
  const names = (await readdir(folder)).filter(
    (name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)),
  )
  return names.sort().map((name) => join(folder, name))
}
