import { createWriteStream } from 'node:fs'
import { type Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { formatSize } from './output.ts'

/**
 * Stores the source archive at `path`. It is not unpacked here: it comes from a user and the daemon is root, so the build container
 * does that. Throws UserError beyond the bound.
 */
export async function receiveSource(
  archive: Readable,
  path: string,
  { signal, most = limits.sourceSize }: { signal: AbortSignal; most?: number },
): Promise<void> {
  let size = 0
  const bound = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length
      if (size > most) done(tooLarge(most))
      else done(null, chunk)
    },
  })
  await pipeline(archive, bound, createWriteStream(path, { mode: 0o644 }), { signal })
}

const tooLarge = (most: number) =>
  new UserError(
    'request_too_large',
    `The source is larger than ${formatSize(most)}. Take large files out of the repository, or out of the deployed commit.`,
  )
