import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createSecureContext } from 'node:tls'

/** Key and certificate of the platform's own name, as PEM. */
export interface Pair {
  key: Buffer
  cert: Buffer
}

/** The pair that the daemon keeps in a folder; it may be made, and renewed, after we have started. */
export class PairFile {
  private readonly folder: string
  private readonly warn: (sentence: string) => void
  private last: Buffer | undefined

  constructor(folder: string, warn: (sentence: string) => void) {
    this.folder = folder
    this.warn = warn
  }

  /** Undefined when there is none, or none other than the last time. */
  async renewed(): Promise<Pair | undefined> {
    const file = (name: string) => readFile(join(this.folder, name)).catch(() => undefined)
    const [key, cert] = await Promise.all([file('key.pem'), file('cert.pem')])
    if (key === undefined || cert === undefined || this.last?.equals(cert)) return undefined
    if (!matching(key, cert)) {
      this.warn('The key and the certificate do not belong together; TLS stays as it was.')
      return undefined
    }
    this.last = cert
    return { key, cert }
  }
}

/** False while the two files are being replaced. */
function matching(key: Buffer, cert: Buffer): boolean {
  try {
    createSecureContext({ key, cert })
    return true
  } catch {
    return false
  }
}
