import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { type Certificates, namedBy, parseCertificate, parseTable, type Table } from './protocol.ts'

export interface Snapshot {
  table: Table
  certificates: Certificates
}

/**
 * What the router serves, where a power cut cannot eat it: each file is the old one or the new one, whole, and only the owner may read it.
 * Certificates are in a file of their own, because tables change often and certificates do not.
 */
export class Snapshots {
  private readonly folder: string
  /** Ids of the certificates on disk. */
  private kept: string[] = []

  constructor(folder: string) {
    this.folder = folder
  }

  /** At no moment does the table on disk name a certificate that is not there; those that it no longer names are gone at the end. */
  async write({ table, certificates }: Snapshot, before: Certificates): Promise<void> {
    await mkdir(this.folder, { recursive: true })
    await this.keep(new Map([...before, ...certificates]))
    await this.replace('snapshot.json', { kind: 'table', table })
    await this.keep(certificates)
  }

  /** The last one, or undefined when there is none. Throws when a file is not what `write` wrote; a table does without certificates. */
  async read(lost: (error: unknown) => void): Promise<Snapshot | undefined> {
    const text = await this.open('snapshot.json')
    if (text === undefined) return undefined
    const table = parseTable(JSON.parse(text).table)
    const certificates = await this.readCertificates().catch((error) => {
      lost(error)
      return new Map()
    })
    return { table, certificates: namedBy(table, certificates) }
  }

  private async readCertificates(): Promise<Certificates> {
    const text = await this.open('certificates.json')
    const list: unknown[] = text === undefined ? [] : JSON.parse(text)
    const certificates = new Map(list.map(parseCertificate).map((one) => [one.id, one]))
    this.kept = [...certificates.keys()]
    return certificates
  }

  private async keep(certificates: Certificates): Promise<void> {
    const ids = [...certificates.keys()]
    if (ids.length === this.kept.length && this.kept.every((id) => certificates.has(id))) return
    await this.replace('certificates.json', [...certificates.values()])
    this.kept = ids
  }

  private async replace(name: string, content: unknown): Promise<void> {
    const path = join(this.folder, name)
    const file = await open(`${path}.new`, 'w', 0o600)
    try {
      await file.writeFile(JSON.stringify(content))
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(`${path}.new`, path)
  }

  private async open(name: string): Promise<string | undefined> {
    try {
      return await readFile(join(this.folder, name), 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }
}
