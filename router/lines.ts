import { inJson } from './line.ts'
import type { LogLine, Up } from './protocol.ts'
import { stamp } from './stamp.ts'

/** Log lines as the daemon reads them: a whole message, so that whoever passes it on need not look into it. */
export interface Batch {
  text: Uint8Array
  lines: number
  /** Told in it. */
  dropped: number
}

export function batchOf(lines: LogLine[], dropped: number): Batch {
  const message: Up = { kind: 'log', lines, dropped }
  return { text: Buffer.from(JSON.stringify(message)), lines: lines.length, dropped }
}

/** Bytes of one message; a longer line has a message of its own. */
const PAGE = 64 * 1024
const HEAD = Buffer.from('{"kind":"log","lines":[')
/** Room for what ends a message. */
const TAIL = 64

interface Page {
  bytes: Buffer
  used: number
  lines: number
}

/**
 * A worker's lines on their way to the master; at most `most` wait, more are dropped and counted. Each is put into its message at once:
 * thousands that wait as objects, each with the head that it was cut from, are what a garbage collector stumbles over.
 */
export class Lines {
  private readonly most: number
  private readonly perPage: number
  private readonly full: Page[] = []
  private page: Page | null = null
  private waiting = 0
  private dropped = 0

  /** The app that the last line was of, and its id in JSON. */
  private app = { id: '', text: '""' }

  /** `perPage`: the most lines of one message. */
  constructor(most: number, perPage: number) {
    this.most = most
    this.perPage = perPage
  }

  /** `text`: as the inside of a JSON string, in ASCII (line.ts). */
  add(app: string, at: number, text: string): void {
    if (this.waiting >= this.most) {
      this.dropped++
      return
    }
    if (app !== this.app.id) this.app = { id: app, text: `"${inJson(app)}"` }
    const line = `{"app":${this.app.text},"at":${stamp(at)},"text":"${text}"}`
    const page = this.pageFor(line.length + 1)
    if (page.lines > 0) page.bytes[page.used++] = COMMA
    page.used += page.bytes.write(line, page.used, 'latin1')
    page.lines++
    this.waiting++
  }

  /** The oldest, and how many were dropped since the last time; null when there is nothing to tell. */
  take(): Batch | null {
    const page = this.full.shift() ?? this.page
    if (page === this.page) this.page = null
    const { dropped } = this
    this.dropped = 0
    if (page === null) return dropped === 0 ? null : batchOf([], dropped)
    this.waiting -= page.lines
    const end = page.used + page.bytes.write(`],"dropped":${dropped}}`, page.used)
    return { text: page.bytes.subarray(0, end), lines: page.lines, dropped }
  }

  private pageFor(most: number): Page {
    const { page } = this
    if (page !== null) {
      if (page.lines < this.perPage && page.used + most + TAIL < page.bytes.length) return page
      this.full.push(page)
    }
    const bytes = Buffer.allocUnsafeSlow(Math.max(PAGE, HEAD.length + most + TAIL))
    this.page = { bytes, used: HEAD.copy(bytes), lines: 0 }
    return this.page
  }
}

const COMMA = 44

/** What waits in the master for the daemon; at most `most` lines, the lines of batches that find no room are counted. */
export class Batches {
  /** Since the start. */
  lost = 0
  /** Called when there is something to take. */
  added = (): void => {}
  private readonly most: number
  private waiting: Batch[] = []
  private lines = 0
  private untold = 0

  constructor(most: number) {
    this.most = most
  }

  add(batch: Batch): void {
    if (this.lines + batch.lines > this.most) {
      this.untold += batch.lines + batch.dropped
      this.lost += batch.lines
    } else {
      this.waiting.push(batch)
      this.lines += batch.lines
    }
    this.added()
  }

  take(): Batch | undefined {
    const first = this.untold > 0 ? batchOf([], this.untold) : this.waiting.shift()
    this.untold = 0
    if (first !== undefined) this.lines -= first.lines
    return first
  }

  /** Everything, in order. */
  drain(): Batch[] {
    const all: Batch[] = []
    for (let batch = this.take(); batch !== undefined; batch = this.take()) all.push(batch)
    return all
  }
}
