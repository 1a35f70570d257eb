import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { Blocks } from '../build/source/blocks.ts'
import { limits } from '../limits.ts'
import { BackupError } from './fault.ts'
import { damaged } from './tar.ts'

/**
 * A backup that a passphrase encrypts: MAGIC, a salt, then pieces of 64 KiB, each sealed with AES-256-GCM. The key is scrypt's of passphrase and salt, so it is of
 * this file alone; the nonce of a piece is its number and whether it is the last one, so none can be left out, moved or cut off.
 */
export const MAGIC = Buffer.from('sluice-encrypted-1\n')

const SALT = 16
const PIECE = 64 * 1024
const TAG = 16
const ALGORITHM = 'aes-256-gcm'
const derive = promisify((passphrase: string, salt: Buffer, done: (error: Error | null, key: Buffer) => void): void =>
  scrypt(passphrase, salt, 32, { N: limits.backupScrypt, r: 8, p: 1, maxmem: 256 * 1024 ** 2 }, done),
)

export async function* encrypted(source: AsyncIterable<Buffer>, passphrase: string): AsyncGenerator<Buffer> {
  const salt = randomBytes(SALT)
  const key = await derive(passphrase, salt)
  yield Buffer.concat([MAGIC, salt])
  const blocks = new Blocks(source)
  let piece = await blocks.take(PIECE)
  for (let n = 0; ; n++) {
    const next = await blocks.take(PIECE)
    const cipher = createCipheriv(ALGORITHM, key, nonceOf(n, next.length === 0))
    yield Buffer.concat([cipher.update(piece), cipher.final(), cipher.getAuthTag()])
    if (next.length === 0) return
    piece = next
  }
}

/** What follows MAGIC, in plain. Throws BackupError for another passphrase, and for what is not as it was written. */
export async function* decrypted(source: AsyncIterable<Buffer>, passphrase: string): AsyncGenerator<Buffer> {
  const blocks = new Blocks(source)
  try {
    const salt = await blocks.take(SALT)
    const key = await derive(passphrase, salt)
    let piece = await blocks.take(PIECE + TAG)
    for (let n = 0; ; n++) {
      const next = await blocks.take(PIECE + TAG)
      yield open(piece, key, { n, last: next.length === 0 })
      if (next.length === 0) return
      piece = next
    }
  } finally {
    await blocks.close()
  }
}

function open(piece: Buffer, key: Buffer, { n, last }: { n: number; last: boolean }): Buffer {
  if (piece.length < TAG) throw damaged()
  try {
    const decipher = createDecipheriv(ALGORITHM, key, nonceOf(n, last)).setAuthTag(piece.subarray(-TAG))
    return Buffer.concat([decipher.update(piece.subarray(0, -TAG)), decipher.final()])
  } catch {
    throw n === 0
      ? new BackupError('The passphrase is not the one that it was encrypted with, or it is damaged.')
      : damaged()
  }
}

function nonceOf(n: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(12)
  nonce.writeBigUInt64BE(BigInt(n))
  nonce[8] = last ? 1 : 0
  return nonce
}

/** The first line of a file. Throws BackupError when it cannot be read, or has none. */
export async function readPassphrase(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new BackupError(`The passphrase cannot be read from ${path} (${error.code}).`)
  })
  const passphrase = text.split(/\r?\n/)[0] ?? ''
  if (passphrase === '') throw new BackupError(`There is no passphrase in the first line of ${path}.`)
  return passphrase
}
