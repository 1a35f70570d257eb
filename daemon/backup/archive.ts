import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type FileHandle, open } from 'node:fs/promises'
import { PassThrough, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { stepBack } from '../build/command.ts'
import { Blocks } from '../build/source/blocks.ts'
import { hostEnvironment } from '../config.ts'
import { limits } from '../limits.ts'
import { decrypted, encrypted, MAGIC } from './cipher.ts'
import { BackupError } from './fault.ts'
import { type Manifest, parseManifest } from './manifest.ts'
import { damaged, type Head, headOf, padding, readHead } from './tar.ts'

/**
 * A backup as one file: a tar, packed by zstd, and encrypted if there is a passphrase (`cipher.ts`). `manifest.json` comes first, `SHA256SUMS`
 * of all the others last. Nothing of it is in memory, whatever it holds.
 */
export const MANIFEST = 'manifest.json'
export const SUMS = 'SHA256SUMS'

/** Something to be put in, whose content is `size` bytes. */
export interface Part extends Head {
  content: Iterable<Buffer> | AsyncIterable<Buffer>
}

export interface Writing {
  passphrase: string | undefined
  signal: AbortSignal
  /** Where the sums are collected, until they are the last part; an empty file. */
  sums: FileHandle
  /** Hears of each piece of content, before it is packed. */
  read(bytes: number): void
  /** Is waited for at each piece of the file. */
  wrote(bytes: number): Promise<void>
}

/** Writes all parts, to the disk. */
export async function writeArchive(to: FileHandle, parts: AsyncIterable<Part>, asked: Writing): Promise<void> {
  const zstd = spawn('zstd', ['-3', '-q', '-c'], { stdio: ['pipe', 'pipe', 'ignore'], env: hostEnvironment() })
  stepBack(zstd)
  const { passphrase, signal } = asked
  const packed = outputOf(zstd, (code) => new Error(`zstd ended with ${code}`))
  const stored = passphrase === undefined ? packed : encrypted(packed, passphrase)
  const write = async (): Promise<void> => {
    for await (const chunk of stored) {
      await to.appendFile(chunk)
      await asked.wrote(chunk.length)
    }
  }
  // Who cannot write does not let the other wait.
  const writing = write().finally(() => zstd.kill('SIGKILL'))
  const feeding = pipeline(Readable.from(tarOf(parts, asked), { objectMode: false }), zstd.stdin, { signal })
  try {
    await Promise.all([writing, feeding])
    await to.sync()
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    zstd.kill('SIGKILL')
    await Promise.allSettled([writing, feeding])
  }
}

async function* tarOf(parts: AsyncIterable<Part>, { sums, read }: Writing): AsyncGenerator<Buffer> {
  for await (const part of parts) {
    const hash = createHash('sha256')
    let size = 0
    yield headOf(part)
    for await (const chunk of part.content) {
      hash.update(chunk)
      size += chunk.length
      read(chunk.length)
      yield chunk
    }
    if (size !== part.size) throw new Error(`${part.name} had ${part.size} bytes, and ${size} were read`)
    yield padding(size)
    if (part.kind === 'file') await sums.appendFile(sumLine(hash.digest('hex'), part.name))
  }
  const { size } = await sums.stat()
  yield headOf({ kind: 'file', name: SUMS, mode: 0o600, owner: 0, size })
  if (size > 0) yield* sums.createReadStream({ start: 0, end: size - 1, autoClose: false }) as AsyncIterable<Buffer>
  yield padding(size)
  yield Buffer.alloc(END)
}

const END = 1024
const sumLine = (sum: string, name: string): string => `${sum}  ${name}\n`

/** Takes what is in a backup, in its order: folders before what is in them. */
export interface Taker {
  manifest(manifest: Manifest): Promise<void>
  folder(head: Head): Promise<void>
  /** Reads the content to its end. */
  file(head: Head, content: AsyncIterable<Buffer>): Promise<void>
}

/**
 * Reads a backup to its end and compares all sums, which are known last: until this resolves nothing that was taken is to be believed. Throws
 * BackupError for what is not as it was written.
 */
export async function readArchive(path: string, passphrase: string | undefined, taker: Taker): Promise<Manifest> {
  const file = await open(path).catch((error: NodeJS.ErrnoException) => {
    throw new BackupError(`${path} cannot be read (${error.code}).`)
  })
  const zstd = spawn('zstd', ['-d', '-q', '-c'], { stdio: ['pipe', 'pipe', 'ignore'], env: hostEnvironment() })
  stepBack(zstd)
  try {
    const feeding = pipeline(Readable.from(plainOf(path, file, passphrase), { objectMode: false }), zstd.stdin)
    // What zstd does not want to read is no zstd; why it gets no more is why this fails.
    feeding.catch(() => {})
    try {
      return await read(new Blocks(outputOf(zstd, damaged)), taker)
    } catch (error) {
      zstd.kill('SIGKILL')
      await feeding.catch((why: unknown) => {
        if (why instanceof BackupError) throw why
      })
      throw error
    }
  } finally {
    zstd.kill('SIGKILL')
    await file.close()
  }
}

const ZSTD = Buffer.from([0x28, 0xb5, 0x2f, 0xfd])

async function* plainOf(path: string, file: FileHandle, passphrase: string | undefined): AsyncGenerator<Buffer> {
  const { buffer } = await file.read({ buffer: Buffer.alloc(MAGIC.length), position: 0 })
  const from = (start: number) => file.createReadStream({ start, autoClose: false }) as AsyncIterable<Buffer>
  if (buffer.subarray(0, ZSTD.length).equals(ZSTD)) yield* from(0)
  else if (!buffer.equals(MAGIC)) throw new BackupError(`${path} is not a backup of Sluice.`)
  else if (passphrase === undefined)
    throw new BackupError('It is encrypted. Name the file that its passphrase is in: --passphrase-file FILE')
  else yield* decrypted(from(MAGIC.length), passphrase)
}

/** All that zstd puts out; throws when it then fails. Held from now on: what a program has left that ended before somebody read, Node throws away. */
function outputOf(zstd: ChildProcess, failed: (code: unknown) => Error): AsyncGenerator<Buffer> {
  const output = (zstd.stdout as Readable).pipe(new PassThrough())
  const ended = once(zstd, 'close').catch(() => {
    throw new BackupError('The program zstd is missing on this host. Install it, and try again.')
  })
  ended.catch(() => {})
  return (async function* () {
    yield* output as AsyncIterable<Buffer>
    const [code] = await ended
    if (code !== 0) throw failed(code)
  })()
}

async function read(blocks: Blocks, taker: Taker): Promise<Manifest> {
  const sums = createHash('sha256')
  const contentOf = async (head: Head, take: (content: AsyncIterable<Buffer>) => Promise<void>): Promise<string> => {
    const hash = createHash('sha256')
    let left = head.size
    await take(
      (async function* () {
        while (left > 0) {
          const piece = await blocks.take(Math.min(left, PIECE))
          if (piece.length === 0) throw damaged()
          left -= piece.length
          hash.update(piece)
          yield piece
        }
      })(),
    )
    await blocks.take(padding(head.size).length)
    return hash.digest('hex')
  }
  const take = async (head: Head, to: (content: AsyncIterable<Buffer>) => Promise<void>): Promise<void> =>
    void sums.update(sumLine(await contentOf(head, to), head.name))

  const first = await readHead(blocks)
  if (first?.name !== MANIFEST || first.size > limits.backupManifest) throw damaged()
  let text = ''
  await take(first, async (content) => {
    for await (const piece of content) text += piece
  })
  const manifest = parseManifest(text)
  await taker.manifest(manifest)
  for (let count = 0; ; count++) {
    const head = await readHead(blocks)
    if (head === undefined || count > limits.backupEntries) throw damaged()
    if (head.kind === 'folder') await taker.folder(head)
    else if (head.name !== SUMS) await take(head, (content) => taker.file(head, content))
    else {
      const sum = await contentOf(head, drain)
      if (sum !== sums.digest('hex')) throw damaged()
      if ((await readHead(blocks)) !== undefined) throw damaged()
      await blocks.drain()
      return manifest
    }
  }
}

const PIECE = 64 * 1024

export async function drain(content: AsyncIterable<Buffer>): Promise<void> {
  for await (const _ of content);
}
