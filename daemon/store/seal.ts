import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { onceWritten } from './once.ts'

/** Encryption at rest for config vars: AES-256-GCM with a fresh nonce each time; `context` binds a text to its row. */
export interface Seal {
  seal(plain: string, context: string): string
  /** Throws when the text was changed, moved to another row, or sealed with another key. */
  open(sealed: string, context: string): string
  /** Hex; equal for equal texts. Who does not have the key cannot try which text it is of. */
  fingerprint(text: string): string
}

const KEY = 32
const NONCE = 12
const TAG = 16

export function createSeal(key: Buffer): Seal {
  if (key.length !== KEY) throw new Error('The sealing key must be 32 bytes.')
  const marker = Buffer.from(hkdfSync('sha256', key, '', 'sluice fingerprint', KEY))
  return {
    fingerprint: (text) => createHmac('sha256', marker).update(text).digest('hex'),
    seal(plain, context) {
      const nonce = randomBytes(NONCE)
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context))
      const text = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()])
      return Buffer.concat([nonce, cipher.getAuthTag(), text]).toString('base64')
    },
    open(sealed, context) {
      const bytes = Buffer.from(sealed, 'base64')
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE))
        .setAAD(Buffer.from(context))
        .setAuthTag(bytes.subarray(NONCE, NONCE + TAG))
      return Buffer.concat([decipher.update(bytes.subarray(NONCE + TAG)), decipher.final()]).toString('utf8')
    },
  }
}

/**
 * The key that the service manager hands in, in a file of that name in the folder `credentials`; else the one at `path`, made at first use, readable
 * by its owner only, whole or not at all. Rejects with a sentence when that would not open what is `sealed` already.
 */
export async function readKey(
  path: string,
  { credentials, sealed = false }: { credentials?: string | undefined; sealed?: boolean } = {},
): Promise<Buffer> {
  const handed = credentials && (await readIfThere(join(credentials, basename(path))))
  const kept = await readIfThere(path)
  if (handed && handed.length !== KEY)
    throw new Error(`The sealing key that systemd hands in has ${handed.length} bytes; it must be ${KEY} random bytes.`)
  if (handed && kept && !handed.equals(kept))
    throw new Error(
      `The sealing key that systemd hands in is not the one in ${path}. Make that one the credential, or remove it if nothing was sealed with it.`,
    )
  if (handed) return handed
  if (!kept && sealed)
    throw new Error(
      `The sealing key is missing, and config vars are sealed with it. Put it back, from where it was backed up to, as ${path} or as the credential ${basename(path)}.`,
    )
  return onceWritten(path, () => randomBytes(KEY))
}

/** Of anything that is sealed already. Throws a sentence when the key is another one: nothing is to be sealed with that beside it. */
export function requireRightKey(seal: Seal, row: { id: string; config: string } | undefined): void {
  if (!row) return
  try {
    seal.open(row.config, row.id)
  } catch {
    throw new Error(
      'The config vars were sealed with another key than the one that is there. Put the right one back, from where it was backed up to.',
    )
  }
}

const readIfThere = (path: string): Promise<Buffer | undefined> =>
  readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    return undefined
  })
