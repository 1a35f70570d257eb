import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { hostEnvironment } from '../../config.ts'
import type { Daemon } from '../../daemon.ts'
import { invalid, notFound, UserError } from '../../errors.ts'
import { failpoint } from '../../failpoint.ts'
import { limits } from '../../limits.ts'
import { removeTree } from '../../remove.ts'
import { ensureTree, flush } from '../../run/tree.ts'
import { slugArchive, slugFolder } from '../../store/slug-path.ts'
import { stepBack } from '../command.ts'
import { requireRoom } from '../disk.ts'
import { formatSize } from '../output.ts'
import { isGzip, parseChecksum, plainTar } from '../source/blob.ts'
import { bounded, broken, storeArchive } from '../source/source.ts'
import { rewrite } from '../source/tar.ts'
import { readySlug, type Slug, sentBefore } from './slug.ts'

/** Slugs that are being received: a slug has one folder. */
const receiving = new Set<string>()

/**
 * Takes a slug that was made elsewhere, a tar.gz with everything in `./app/`, and makes of it what a build leaves. Both archive and
 * tree are in place when it resolves; what came of it otherwise is removed, now or at the next start. Throws UserError.
 */
export async function receiveSlug(d: Daemon, id: string, archive: Readable, signal: AbortSignal): Promise<void> {
  if (receiving.has(id)) throw new UserError('conflict', 'The archive of this slug is being sent already.')
  receiving.add(id)
  try {
    await d.disk.makeRoom()
    await keep(d, id, archive, signal)
  } finally {
    receiving.delete(id)
  }
}

async function keep(d: Daemon, id: string, archive: Readable, signal: AbortSignal): Promise<void> {
  const slug = await d.db.selectFrom('slugs').selectAll().where('id', '=', id).executeTakeFirst()
  if (!slug) throw notFound('slug', 'slug')
  if (slug.archive === 'ready') throw sentBefore()
  try {
    const taken = await take(d, slug, archive, signal)
    await failpoint('slug.received')
    await readySlug(d, id, taken)
  } catch (error) {
    await removeTree(slugFolder(d.config, slug.files))
    throw error
  }
}

async function take(d: Daemon, slug: Slug, archive: Readable, signal: AbortSignal) {
  const folder = slugFolder(d.config, slug.files)
  const sent = join(folder, 'sent')
  await mkdir(folder, { recursive: true })
  const { checksum } = await storeArchive(archive, sent, { signal, most: limits.slugSize, time: limits.uploadTime })
  if (slug.checksum !== '' && parseChecksum(slug.checksum) !== checksum)
    throw invalid(
      `The checksum of the archive is SHA256:${checksum}, not ${slug.checksum} as the slug was created with.`,
    )
  const unpacked = await convert(sent, join(folder, 'next'))
  const { size } = await stat(join(folder, 'next'))
  if (size > limits.slugSize) throw tooLarge(limits.slugSize)
  await requireRoom(folder, unpacked)
  await rename(join(folder, 'next'), slugArchive(d.config, slug.files))
  await flush(slugArchive(d.config, slug.files))
  await ensureTree(d, slug.files).catch((error: unknown) => {
    d.log.warn('an uploaded slug cannot be unpacked', { slug: slug.id, error })
    throw broken('It cannot be unpacked.')
  })
  await rm(sent)
  await flush(folder)
  await flush(join(folder, '..'))
  return { checksum: `SHA256:${checksum}`, size }
}

const tooLarge = (most: number) =>
  new UserError('request_too_large', `The slug is too large: it may have ${formatSize(most)}.`)

/** Writes what is in `./app/` as an archive of ours; returns the bytes of the tar in it. */
async function convert(from: string, to: string): Promise<number> {
  const file = await open(from)
  const zstd = spawn('zstd', ['-3', '-q', '-o', to], { stdio: ['pipe', 'ignore', 'ignore'], env: hostEnvironment() })
  stepBack(zstd)
  const exit = once(zstd, 'exit')
  exit.catch(() => undefined)
  let size = 0
  const measure = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length
      done(null, chunk)
    },
  })
  try {
    const bound = bounded(limits.slugUnpacked, tooLarge(limits.slugUnpacked))
    const tar = rewrite(plainTar(file, await isGzip(file), bound), intoApp)
    await pipeline(Readable.from(tar, { objectMode: false }), measure, zstd.stdin)
    const [code] = await exit
    if (code !== 0) throw new Error(`zstd ended with ${code}`)
    return size
  } finally {
    zstd.kill('SIGKILL')
    await file.close()
  }
}

function intoApp(path: string): string {
  if (path === '' || path === 'app' || path.startsWith('app/')) return path === '' ? '' : `./${path}`
  throw broken('Everything in a slug must be in the folder ./app at its root.')
}

/** The slug in the form in which it can be sent: a tar.gz. It is packed anew, so its checksum is another one. It ends only if it is whole. */
export function sendSlug(d: Daemon, slug: Slug): Readable {
  const zstd = spawn('zstd', ['-dcq', slugArchive(d.config, slug.files)], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: hostEnvironment(),
  })
  stepBack(zstd)
  const packed = createGzip({ level: 1 })
  zstd.stdout.pipe(packed, { end: false })
  zstd.on('error', (error) => packed.destroy(error))
  zstd.on('close', (code) => (code === 0 ? packed.end() : packed.destroy(new Error(`zstd ended with ${code}`))))
  packed.on('error', (error) => d.log.warn('a slug was not sent as a whole', { slug: slug.id, error }))
  packed.on('close', () => zstd.kill('SIGKILL'))
  return packed
}
