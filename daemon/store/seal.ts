import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'
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

/** The key file at `path`, made at first use, readable by its owner only. It appears whole or not at all: without it nothing opens. */
export const readKey = (path: string): Promise<Buffer> => onceWritten(path, () => randomBytes(KEY))
