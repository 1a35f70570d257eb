import { mkdir, open, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { changeBetween, type Edition, tableAfter } from './edition.ts'
import {
  type Certificates,
  namedBy,
  parseCertificate,
  parseChange,
  parseTable,
  type Table,
  type TableChange,
} from './protocol.ts'

export interface Snapshot {
  table: Table
  certificates: Certificates
}

/** A journal that is longer than this, and than the table, is begun anew. */
const JOURNAL = 64 * 1024

/**
 * What the router serves, where a power cut cannot eat it, and only the owner may read it. `snapshot.json` is a whole table, the old one
 * or the new one; `changes.jsonl` is what has changed since, a change a line, because a whole table of thousands takes longer to write
 * than to follow. Certificates are in a file of their own, because tables change often and certificates do not.
 *
 *   unknown, appended --a whole table is written--> whole      the journal is begun anew after it, at an empty file
 *   whole, appended --a change is appended--> appended
 *   any --writing fails--> unknown                             so that nothing is appended to half a line
 *
 * A process that dies between a whole table and its journal leaves lines of older tables there: reading passes over them, and ends at
 * half a line, which nobody was told is on disk.
 */
export class Snapshots {
  private readonly folder: string
  /** Ids of the certificates on disk. */
  private kept: string[] = []
  /** Those that the table on disk names. */
  private named: Certificates = new Map()
  /** What this process has written; undefined: it is unknown. */
  private written: Written | undefined

  constructor(folder: string) {
    this.folder = folder
  }

  /** At no moment does the table on disk name a certificate that is not there; those that it no longer names are gone at the end. */
  async write(edition: Edition, before: Edition): Promise<void> {
    const { written } = this
    this.written = undefined
    await mkdir(this.folder, { recursive: true })
    await this.keep(new Map([...this.named, ...edition.certificates]))
    const appendable = written?.version === before.table.version && written.changes <= Math.max(JOURNAL, written.whole)
    this.written = appendable ? await this.append(edition, before, written) : await this.writeWhole(edition.table)
    this.named = edition.certificates
    await this.keep(edition.certificates)
  }

  /** The last one, or undefined when there is none. Throws when a file is not what `write` wrote; a table does without certificates. */
  async read(lost: (error: unknown) => void): Promise<Snapshot | undefined> {
    const text = await this.open('snapshot.json')
    if (text === undefined) return undefined
    const table = afterLines(parseTable(JSON.parse(text).table), (await this.open('changes.jsonl')) ?? '')
    const certificates = await this.readCertificates().catch((error) => {
      lost(error)
      return new Map()
    })
    this.named = namedBy(table, certificates)
    return { table, certificates: this.named }
  }

  private async append(edition: Edition, before: Edition, written: Written): Promise<Written> {
    const line = `${JSON.stringify(changeBetween(before, edition))}\n`
    const file = await open(join(this.folder, 'changes.jsonl'), 'a', 0o600)
    try {
      await file.writeFile(line)
      await file.datasync()
    } finally {
      await file.close()
    }
    return { version: edition.table.version, whole: written.whole, changes: written.changes + line.length }
  }

  private async writeWhole(table: Table): Promise<Written> {
    let whole = 0
    const counted = function* () {
      for (const piece of textOf(table)) {
        whole += piece.length
        yield piece
      }
    }
    const journal = await open(join(this.folder, 'changes.jsonl'), 'a', 0o600)
    try {
      await this.replace('snapshot.json', counted())
      await journal.truncate()
    } finally {
      await journal.close()
    }
    return { version: table.version, whole, changes: 0 }
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
    await this.replace('certificates.json', [JSON.stringify([...certificates.values()])])
    this.kept = ids
  }

  /** The name is on disk, too, when it resolves. */
  private async replace(name: string, content: Iterable<string>): Promise<void> {
    const path = join(this.folder, name)
    const file = await open(`${path}.new`, 'w', 0o600)
    try {
      await writeFile(file, content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(`${path}.new`, path)
    const folder = await open(this.folder)
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
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

/** Version on disk, and the length of the two files. */
interface Written {
  version: number
  whole: number
  changes: number
}

/** Apps in one write: so many at once keep the processor for a moment only. */
const PIECE = 200

function* textOf({ version, apps, challenges }: Table): Generator<string> {
  yield `{"kind":"table","table":{"version":${version},"challenges":${JSON.stringify(challenges)},"apps":[`
  for (let at = 0; at < apps.length; at += PIECE)
    yield (at > 0 ? ',' : '') + JSON.stringify(apps.slice(at, at + PIECE)).slice(1, -1)
  yield ']}}'
}

/** With the changes that lead on from it, of these lines. */
function afterLines(table: Table, lines: string): Table {
  const changes: TableChange[] = []
  let { version } = table
  for (const line of lines.split('\n')) {
    const change = changeOf(line)
    if (change === undefined) break
    if (change.base !== version) continue
    changes.push(change)
    version = change.version
  }
  return tableAfter(table, changes)
}

function changeOf(line: string): TableChange | undefined {
  try {
    return parseChange(JSON.parse(line))
  } catch {
    return undefined
  }
}
