import { join } from 'node:path'
import type { Config } from '../config.ts'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'
import { type Journal, openJournal, type Position } from './journal.ts'
import type { Line } from './line.ts'
import { createRing, type Entry, type LogFilter, matches, type Ring } from './ring.ts'

export type { Entry, LogFilter } from './ring.ts'

/**
 * The newest lines of every app, in memory and on disk. Writing never waits: lines go to disk in batches, and what a disk or a reader
 * is too slow for is dropped, counted and told (L10). A restart of the daemon keeps what was on disk; numbers never repeat.
 */
export interface Logs {
  /** `position` says how far its dyno's output was read; it is kept with the line. */
  write(app: string, line: Line, position?: Position): void
  /** The last `n` kept lines that match, oldest first. */
  recent(app: string, filter: LogFilter, n: number): (Line & { seq: number })[]
  /** Lines from now on, or those after a number (as far as kept) and from now on. Ends when `signal` aborts or the app's logs are removed. */
  follow(app: string, filter: LogFilter, signal: AbortSignal, after?: number): AsyncIterable<Entry>
  /** How far the output of a dyno was read before. */
  position(app: string, dyno: string): Position | undefined
  /** Deletes the app's lines for good; later ones of the same app are ignored. */
  remove(app: string): Promise<void>
  /** Ends the followers, now and from now on; lines are still taken. */
  endFollowers(): void
  /** Ends followers and writes what is not on disk yet. */
  close(): Promise<void>
}

/** Text of one app that is kept in memory, at most. */
const RING_BYTES = 4 * 1024 * 1024

interface Book {
  ring: Ring
  journal: Journal
  seq: number
  /** Wakes the followers. */
  readers: Set<() => void>
}

export function createLogs(config: Pick<Config, 'data'>, log: Log): Logs {
  const books = new Map<string, Book>()
  const removed = new Set<string>()
  const ending = new AbortController()
  let closed = false

  const bookOf = (app: string): Book => {
    const known = books.get(app)
    if (known) return known
    const { journal, entries, lastSeq } = openJournal(join(config.data, 'logs', app), log)
    const ring = createRing({ lines: limits.logLinesKept, bytes: RING_BYTES })
    for (const entry of entries) ring.push(entry)
    const book: Book = { ring, journal, seq: firstSeq(lastSeq), readers: new Set() }
    books.set(app, book)
    return book
  }

  const append = (book: Book, line: Line, position?: Position): void => {
    const entry = { seq: book.seq++, line }
    book.ring.push(entry)
    const dropped = book.journal.append(entry, position)
    for (const wake of book.readers) wake()
    if (dropped) append(book, dropNotice(dropped.count, dropped.since))
  }

  return {
    write(app, line, position) {
      if (!removed.has(app) && !closed) append(bookOf(app), line, position)
    },
    recent(app, filter, n) {
      if (removed.has(app)) return []
      const { ring } = bookOf(app)
      const found: (Line & { seq: number })[] = []
      for (let place = ring.next - 1; place >= ring.oldest && found.length < n; place--) {
        const entry = ring.at(place)
        if (entry && matches(entry.line, filter)) found.push({ ...entry.line, seq: entry.seq })
      }
      return found.reverse()
    },
    follow(app, filter, signal, after) {
      if (removed.has(app)) return nothing()
      const book = bookOf(app)
      const place = after === undefined ? book.ring.next : placeAfter(book.ring, after)
      return followBook(book, filter, AbortSignal.any([signal, ending.signal]), place)
    },
    position: (app, dyno) => (removed.has(app) ? undefined : bookOf(app).journal.position(dyno)),
    async remove(app) {
      const book = bookOf(app)
      removed.add(app)
      books.delete(app)
      for (const wake of book.readers) wake()
      await book.journal.remove()
    },
    endFollowers: () => ending.abort(),
    async close() {
      ending.abort()
      closed = true
      await Promise.all([...books.values()].map(({ journal }) => journal.close()))
    },
  }
}

/**
 * A crash may lose numbers that clients have seen, so numbers start from the clock's microseconds when that is ahead. Fewer than a
 * million lines a second are written, hence the clock always is, unless it was set back.
 */
const firstSeq = (lastSeq: number): number => Math.max(lastSeq + 1, Date.now() * 1000)

async function* nothing(): AsyncGenerator<Entry> {}

/** A reader is a place in the ring: however slow, it holds no memory, and it is told what went by. */
async function* followBook(book: Book, filter: LogFilter, signal: AbortSignal, from: number): AsyncGenerator<Entry> {
  const { ring, journal } = book
  let place = from
  let wake = (): void => {}
  const rouse = (): void => wake()
  book.readers.add(rouse)
  signal.addEventListener('abort', rouse)
  let missedSince = Date.now()
  try {
    while (!signal.aborted && !journal.removed) {
      if (place < ring.oldest) {
        const line = dropNotice(ring.oldest - place, missedSince)
        place = ring.oldest
        yield { seq: (ring.at(place)?.seq ?? 1) - 1, line }
      }
      const entry = ring.at(place)
      if (!entry) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
        continue
      }
      place++
      missedSince = entry.line.at
      if (matches(entry.line, filter)) yield entry
    }
  } finally {
    book.readers.delete(rouse)
    signal.removeEventListener('abort', rouse)
  }
}

function placeAfter(ring: Ring, seq: number): number {
  let place = ring.next
  while (place > ring.oldest && (ring.at(place - 1)?.seq ?? 0) > seq) place--
  return place
}

/** https://devcenter.heroku.com/articles/error-codes#l10-drain-buffer-overflow */
function dropNotice(count: number, since: number): Line {
  const text = `Error L10 (output buffer overflow): ${count} messages dropped since ${new Date(since).toISOString()}.`
  return { at: Date.now(), source: 'heroku', dyno: 'logplex', text }
}
