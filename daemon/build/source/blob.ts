import type { FileHandle } from 'node:fs/promises'
import { pipeline, Readable, type Transform } from 'node:stream'
import { createGunzip } from 'node:zlib'
import type { Daemon } from '../../daemon.ts'
import { invalid, UserError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { download, parseUrl } from './download.ts'
import { bounded, broken } from './source.ts'
import { lookThrough, outOf, rewrite } from './tar.ts'
import { openUpload } from './upload.ts'

/** The source of a build that is asked for by URL. */
export interface Source {
  /** A tar of files, folders and links, see `rewrite`; to be read to its end, or destroyed. */
  archive: Readable
  /** Equal for equal sources. */
  key: string
  /** Files that are pointers of Git LFS. */
  pointers: string[]
}

export interface Wanted {
  /** `SHA256:<hex>` of the file at the URL. */
  checksum?: string | null | undefined
  signal: AbortSignal
}

/**
 * The source at a URL: one that this platform gave out (`POST /sources`), read from disk, or any http(s) URL. It may be a tar or a
 * tar.gz; what comes from elsewhere and is in one folder as a whole, as archives of GitHub are, is taken out of that folder. Throws
 * UserError, also while `archive` is read.
 */
export async function openSource(d: Daemon, url: string, { checksum, signal }: Wanted): Promise<Source> {
  parseUrl(url)
  const wanted = checksum == null ? undefined : parseChecksum(checksum)
  const own = await openUpload(d, url)
  const { file, checksum: found } = own ?? (await download(d, url, signal))
  try {
    if (wanted !== undefined && wanted !== found)
      throw invalid(`The checksum of the source is SHA256:${found}, not SHA256:${wanted} as the build was told.`)
    const gzip = await isGzip(file)
    const contents = await lookThrough(plainTar(file, gzip))
    const folder = own ? undefined : contents.folder
    const archive = Readable.from(
      rewrite(plainTar(file, gzip), folder === undefined ? (path) => path : outOf(folder)),
      { objectMode: false },
    )
    archive.on('close', () => void file.close().catch(() => undefined))
    // Whoever reads it hears of it; one that nobody reads (the slug is there already) is nobody's affair.
    archive.on('error', () => undefined)
    return { archive, key: folder === undefined ? found : `${found}/${folder}`, pointers: contents.pointers }
  } catch (error) {
    await file.close()
    throw error
  }
}

/** The hex part, in lower case. */
export function parseChecksum(text: string): string {
  const hex = /^SHA256:([0-9a-f]{64})$/i.exec(text)?.[1]
  if (hex === undefined) throw invalid('The checksum must be SHA256: and 64 hex digits.')
  return hex.toLowerCase()
}

const GZIP = '1f8b'
/** What people send in its place; none of them begins a tar. */
const OTHERS = { '504b0304': 'zip', fd377a58: 'xz', '28b52ffd': 'zstd', '425a68': 'bzip2' }

/** Throws UserError for what is packed in another way. */
export async function isGzip(file: FileHandle): Promise<boolean> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0)
  if (bytesRead === 0) throw broken('It is empty.')
  const head = buffer.toString('hex')
  for (const [magic, name] of Object.entries(OTHERS))
    if (head.startsWith(magic)) throw broken(`It is a ${name} file. Send a tar or a tar.gz (tar czf source.tgz .).`)
  return head.startsWith(GZIP)
}

/** Not a stream of the file's own: that would close the file when its reader stops early. */
async function* contents(file: FileHandle): AsyncGenerator<Buffer> {
  for (let at = 0; ; ) {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(PIECE), 0, PIECE, at)
    if (bytesRead === 0) return
    at += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

const PIECE = 64 * 1024

/** The tar inside, up to a bound, however small it is when it is packed. */
export async function* plainTar(
  file: FileHandle,
  gzip: boolean,
  bound: Transform = bounded(limits.sourceSize),
): AsyncGenerator<Buffer> {
  const stored = Readable.from(contents(file), { objectMode: false })
  const steps = gzip ? ([stored, createGunzip(), bound] as const) : ([stored, bound] as const)
  try {
    // What goes wrong in one of them is thrown by the last.
    yield* pipeline([...steps], () => undefined) as unknown as Readable
  } catch (error) {
    if (error instanceof UserError || !/^Z_/.test(String((error as { code?: unknown }).code))) throw error
    throw broken('It is damaged: its compressed data cannot be read.')
  }
}
