import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import { figures } from '../figures.ts'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Position } from './intake.ts'
import { type Journal, openJournal } from './journal.ts'
import type { Line } from './line.ts'
import { type Loss, lossLine } from './loss.ts'
import { createRing, type Entry, type LogFilter, matches, type Ring } from './ring.ts'

export type { Entry, LogFilter } from './ring.ts'

/**
 * The newest lines of every app, in memory and on disk. Writing never waits: lines go to disk in batches, and what a disk or a reader
 * is too slow for is dropped, counted and told. A restart of the daemon keeps what was on disk; numbers never repeat.
 */
export interface Logs {
  /** `position` says how far its dyno's output was read; it is kept with the line. */
  write(app: string, line: Line, position?: Position): void
  /** The last `n` kept lines that match, oldest first. */
  recent(app: string, filter: LogFilter, n: number): (Line & { seq: number })[]
  /** Lines from now on, or those after a number (as far as kept) and from now on. Ends when `signal` aborts or the app's logs are removed. */
  follow(app: string, filter: LogFilter, signal: AbortSignal, after?: number): AsyncIterable<Entry>
  /** The same in batches, for those who write them out in one piece: readers at the same place get the same batches. */
  batches(app: string, filter: LogFilter, signal: AbortSignal, after?: number): AsyncIterable<Entry[]>
  /**
   * The newest line that is on disk. Followers get no line before it is, because a line that a crash takes away is read again from
   * the engine, and then has another number.
   */
  stored(app: string): number
  /** For a writer that can wait: set while much waits for the disk, resolves when it is written. */
  backlog(app: string): Promise<void> | undefined
  /** How far the streams of a dyno were read before. */
  positions(app: string, dyno: string): Position[]
  /** Deletes the app's lines for good; later ones of the same app are ignored. */
  remove(app: string): Promise<void>
  /** Ends the followers, now and from now on; lines are still taken. */
  endFollowers(): void
  /** Writes what is not on disk yet, at once, so that followers get it. */
  flush(): Promise<void>
  /** Ends followers and writes what is not on disk yet. */
  close(): Promise<void>
}

/** Text of one app that is kept in memory, at most. */
const RING_BYTES = 4 * 1024 * 1024
/** A follower's batch. */
const BATCH_LINES = 500
const BATCH_BYTES = 64 * 1024

interface Book {
  ring: Ring
  journal: Journal
  seq: number
  stored: number
  readers: Set<Reader>
}

interface Reader {
  place: number
  wake(): void
}

export function createLogs(config: Pick<Config, 'data'>, log: Log): Logs {
  const books = new Map<string, Book>()
  const removed = new Set<string>()
  const ending = new AbortController()
  let closed = false

  const bookOf = (app: string): Book => {
    const known = books.get(app)
    if (known) return known
    const readers = new Set<Reader>()
    const { journal, entries, lastSeq } = openJournal(join(config.data, 'logs', app), log, (seq) => {
      book.stored = seq
      for (const reader of readers) reader.wake()
    })
    const ring = createRing({ lines: limits.logLinesKept, bytes: RING_BYTES }, () => slowest(readers))
    for (const entry of entries) ring.push(entry)
    const book: Book = { ring, journal, seq: firstSeq(lastSeq), stored: lastSeq, readers }
    books.set(app, book)
    return book
  }

  const append = (book: Book, line: Line, position?: Position): void => {
    const entry = { seq: book.seq++, line }
    book.ring.push(entry)
    const lost = book.journal.append(entry, position)
    if (!lost) return
    figures.logLoss.add({ where: 'disk' }, lost.count)
    append(book, lossLine('disk', lost))
  }

  const flush = async (): Promise<void> => {
    await Promise.all([...books.values()].map(({ journal }) => journal.flush()))
  }

  const batches: Logs['batches'] = (app, filter, signal, after) => {
    if (removed.has(app)) return nothing()
    const book = bookOf(app)
    return followBook(book, filter, AbortSignal.any([signal, ending.signal]), after ?? book.seq - 1)
  }

  return {
    write(app, line, position) {
      if (removed.has(app) || closed) return
      append(bookOf(app), oneLine(line), position)
      figures.logLines.add({})
    },
    recent(app, filter, n) {
      if (removed.has(app)) return []
      const { ring } = bookOf(app)
      const found: (Line & { seq: number })[] = []
      const most = Math.min(n, limits.logLinesKept)
      for (let place = ring.next - 1; place >= ring.oldest && found.length < most; place--) {
        const entry = ring.at(place)
        if (entry && matches(entry.line, filter)) found.push({ ...entry.line, seq: entry.seq })
      }
      return found.reverse()
    },
    batches,
    follow: (app, filter, signal, after) => flatten(batches(app, filter, signal, after)),
    stored: (app) => (removed.has(app) ? 0 : bookOf(app).stored),
    backlog: (app) => (removed.has(app) ? undefined : bookOf(app).journal.backlog),
    positions: (app, dyno) => (removed.has(app) ? [] : bookOf(app).journal.positions(dyno)),
    async remove(app) {
      const book = books.get(app)
      removed.add(app)
      books.delete(app)
      // Not opened only to be deleted.
      if (!book) return rm(join(config.data, 'logs', app), { recursive: true, force: true })
      for (const reader of book.readers) reader.wake()
      await book.journal.remove()
    },
    endFollowers: () => ending.abort(),
    flush,
    async close() {
      ending.abort()
      closed = true
      await flush()
    },
  }
}

/**
 * A crash may lose numbers that clients have seen, so numbers start from the clock's microseconds when that is ahead. Fewer than a
 * million lines a second are written, hence the clock always is, unless it was set back.
 */
const firstSeq = (lastSeq: number): number => Math.max(lastSeq + 1, Date.now() * 1000)

const slowest = (readers: Set<Reader>): number => {
  let place = Number.POSITIVE_INFINITY
  for (const reader of readers) if (reader.place < place) place = reader.place
  return place
}

/** Server-sent events and syslog end a line where the text does. */
const oneLine = (line: Line): Line =>
  line.text.includes('\n') || line.text.includes('\r') ? { ...line, text: line.text.replace(/[\r\n]+/g, ' ') } : line

async function* nothing(): AsyncGenerator<Entry[]> {}

async function* flatten(batches: AsyncIterable<Entry[]>): AsyncGenerator<Entry> {
  for await (const batch of batches) for (const entry of batch) yield entry
}

/** A reader is a place in the ring: however slow, it holds little memory, and it is told what went by. */
async function* followBook(book: Book, filter: LogFilter, signal: AbortSignal, after: number): AsyncGenerator<Entry[]> {
  const { ring, journal } = book
  const reader = { place: placeAfter(ring, after), wake: (): void => {} }
  const rouse = (): void => reader.wake()
  book.readers.add(reader)
  signal.addEventListener('abort', rouse)
  let missed = missedBefore(ring, after)
  let last = Date.now()
  try {
    while (!signal.aborted && !journal.removed) {
      const from = reader.place
      if (from < ring.oldest) {
        missed = { count: ring.oldest - from, since: last }
        reader.place = ring.oldest
      }
      const batch: Entry[] = missed ? [told(missed, ring)] : []
      missed = undefined
      reader.place = gather(book, filter, reader.place, batch)
      if (batch.length > 0) yield batch
      else if (reader.place === from)
        await new Promise<void>((resolve) => {
          reader.wake = resolve
        })
      last = ring.at(reader.place - 1)?.line.at ?? last
    }
  } finally {
    book.readers.delete(reader)
    signal.removeEventListener('abort', rouse)
  }
}

/** Adds what matches to the batch, from `place` on, as far as it is stored. Returns the place to go on from. */
function gather({ ring, stored }: Book, filter: LogFilter, place: number, batch: Entry[]): number {
  let bytes = 0
  for (; batch.length < BATCH_LINES && bytes < BATCH_BYTES; place++) {
    const entry = ring.at(place)
    if (!entry || entry.seq > stored) break
    if (!matches(entry.line, filter)) continue
    batch.push(entry)
    bytes += entry.line.text.length
  }
  return place
}

/** Takes the number before the next line's, so that a reader that comes back with it goes on there. */
const told = (loss: Loss, ring: Ring): Entry => ({
  seq: (ring.at(ring.oldest)?.seq ?? 1) - 1,
  line: lossLine('drain', loss),
  loss,
})

function placeAfter(ring: Ring, seq: number): number {
  let place = ring.next
  while (place > ring.oldest && (ring.at(place - 1)?.seq ?? 0) > seq) place--
  return place
}

/** What a reader that comes back late can no longer get. Numbers are without gaps but over a crash, after which they are unknown. */
function missedBefore(ring: Ring, after: number): Loss | undefined {
  const oldest = ring.at(ring.oldest)
  if (!oldest || after === 0 || oldest.seq <= after + 1) return undefined
  const count = oldest.seq - after - 1
  return count < MOST_COUNTED ? { count, since: oldest.line.at } : { count: 0, since: oldest.line.at, more: true }
}

const MOST_COUNTED = 1_000_000
