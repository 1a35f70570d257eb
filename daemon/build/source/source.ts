import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { UserError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { boundDisk, full, requireRoom } from '../disk.ts'
import { formatSize } from '../output.ts'

/**
 * Stores the source archive at `path`. It is not unpacked here: it comes from a user and the daemon is root, so the build container
 * does that. Throws UserError beyond the bound.
 */
export async function receiveSource(
  archive: Readable,
  path: string,
  { signal, most = limits.sourceSize }: { signal: AbortSignal; most?: number },
): Promise<void> {
  await pipeline(archive, bounded(most), createWriteStream(path, { mode: 0o644 }), { signal })
}

/** A stored archive, opened when it is read: before that nobody would hear that it is gone, which ends a process. */
export const readSource = (path: string): Readable => Readable.from(contentOf(path), { objectMode: false })

async function* contentOf(path: string): AsyncGenerator<Buffer> {
  yield* createReadStream(path)
}

/** What was stored. */
export interface Stored {
  /** SHA-256, hex. */
  checksum: string
  size: number
}

/**
 * Stores an archive that comes over the network, and has it on disk when it resolves. Throws UserError beyond the bounds on size, time
 * and disk; what it wrote by then is the caller's to remove.
 */
export async function storeArchive(
  archive: Readable,
  path: string,
  { signal, most = limits.sourceSize, time }: { signal: AbortSignal; most?: number; time: number },
): Promise<Stored> {
  await requireRoom(dirname(path))
  // Opened before anything can fail: one that is opened later would be made when it has been removed already.
  const file = await open(path, 'w', 0o600)
  const hash = createHash('sha256')
  let size = 0
  const disk = boundDisk(dirname(path), { most: most * 2, watched: path })
  // Not AbortSignal.timeout, which Node.js 20 may collect together with what it was to end.
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(tooSlow(time)), time)
  const end = AbortSignal.any([signal, disk.signal, late.signal])
  const measure = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length
      hash.update(chunk)
      done(null, chunk)
    },
  })
  try {
    await pipeline(archive, bounded(most), measure, file.createWriteStream({ flush: true }), { signal: end })
    return { checksum: hash.digest('hex'), size }
  } catch (error) {
    if (end.aborted) throw end.reason
    throw (error as { code?: unknown }).code === 'ENOSPC' ? full() : error
  } finally {
    clearTimeout(timer)
    disk.stop()
    await file.close().catch(() => undefined)
  }
}

/** Passes bytes on, up to a bound; `beyond` says what is wrong then. */
export function bounded(most: number, beyond: UserError = tooLarge(most)): Transform {
  let size = 0
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length
      if (size > most) done(beyond)
      else done(null, chunk)
    },
  })
}

const tooLarge = (most: number) =>
  new UserError(
    'request_too_large',
    `The source is larger than ${formatSize(most)}. Take large files out of the repository, or out of the deployed commit.`,
  )

const tooSlow = (time: number) =>
  new UserError('invalid_params', `The source did not arrive within ${time / 60_000} minutes.`)

/** What is wrong with an archive, in words that are shown to its sender. */
export const broken = (why: string): UserError => new UserError('invalid_params', `The archive cannot be used. ${why}`)

/** A name inside an archive or a repository, which is bytes (latin1) of whatever kind, for people. */
export const shownName = (name: string): string =>
  Buffer.from(name, 'latin1')
    .toString('utf8')
    .replace(/\p{Cc}/gu, '?')
    .slice(0, 200)
