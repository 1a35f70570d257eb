import { mkdirSync, truncateSync } from 'node:fs'
import { appendFile, rename, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Position } from './intake.ts'
import type { Loss } from './loss.ts'
import type { Entry } from './ring.ts'
import { formatMark, formatRow, readRows } from './rows.ts'

/**
 * One app's lines on disk: `current` is appended to and becomes `previous` when it is full, so that at most twice the bound is stored.
 *
 *   append -> pending -- 100 ms, or the write before has ended --> appendFile --> stored -- full --> rename current to previous
 */
export interface Journal {
  /** Returns what was dropped before this line, when it is the first that the disk keeps up with again. */
  append(entry: Entry, position?: Position): Loss | undefined
  /** Set while much waits for the disk; resolves when that has been tried. */
  readonly backlog: Promise<void> | undefined
  /** How far the streams of a dyno were read. */
  positions(dyno: string): Position[]
  readonly removed: boolean
  remove(): Promise<void>
  /** Writes what is pending now; resolves when it is on disk, whatever is appended meanwhile. */
  flush(): Promise<void>
}

const FILE_BYTES = 4 * 1024 * 1024
const PENDING_BYTES = 4 * 1024 * 1024
const MUCH_PENDING = 512 * 1024
const BATCH_EVERY = 100
const POSITIONS_KEPT = 1000

interface Opened {
  journal: Journal
  entries: Entry[]
  lastSeq: number
}

/** `stored` hears up to which line everything is on disk, or was dropped. */
export function openJournal(folder: string, log: Log, stored: (seq: number) => void): Opened {
  const current = join(folder, 'current')
  const previous = join(folder, 'previous')
  const places = createPlaces()
  const entries: Entry[] = []
  let written = 0
  const read = (file: string): number => readRows(file, (entry) => entries.push(entry), places.note)
  try {
    read(previous)
    written = read(current)
    truncateSync(current, written)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      log.error('stored log lines could not be read', { folder, error })
  }

  let pending: string[] = []
  let pendingBytes = 0
  let appended = 0
  let dropped: Loss | undefined
  let failing = false
  let removed = false
  let timer: NodeJS.Timeout | undefined
  let writing: Promise<void> | undefined
  let flushed = Number.NEGATIVE_INFINITY
  /** Who waits for everything up to a line. */
  let waiting: { until: number; done: () => void }[] = []

  const lose = (count: number, since: number): void => {
    dropped ??= { count: 0, since }
    dropped.count += count
  }

  const flush = async (): Promise<void> => {
    while (pending.length > 0 && !removed) {
      const [rows, last] = [pending, appended]
      // After a rotation all are written again, because the lines that they came with may be gone at the next one.
      rows.push(formatMark(written === 0 ? places.all() : places.changed()))
      pending = []
      pendingBytes = 0
      try {
        await store(Buffer.from(rows.join('')))
        failing = false
      } catch (error) {
        log.error('log lines could not be stored', { folder, error })
        failing = true
        lose(rows.length - 1, Date.now())
        await truncate(current, written).catch(() => {})
      }
      flushed = performance.now()
      stored(last)
      waiting = waiting.filter(({ until, done }) => until > last || void done())
    }
  }

  const store = async (batch: Buffer): Promise<void> => {
    if (written === 0) mkdirSync(folder, { recursive: true })
    await appendFile(current, batch)
    written += batch.length
    if (written <= FILE_BYTES) return
    await rename(current, previous)
    written = 0
  }

  const start = (): void => {
    clearTimeout(timer)
    timer = undefined
    writing ??= flush().finally(() => {
      writing = undefined
      if (pending.length > 0 && !removed) schedule()
    })
  }
  const schedule = (): void => {
    timer ??= setTimeout(start, Math.max(0, flushed + BATCH_EVERY - performance.now()))
  }

  const journal: Journal = {
    append(entry, position) {
      if (position) places.note(position)
      appended = entry.seq
      if (pendingBytes > PENDING_BYTES) {
        lose(1, entry.line.at)
        return undefined
      }
      const row = formatRow(entry)
      pending.push(row)
      pendingBytes += row.length
      if (!writing) schedule()
      if (failing || !dropped) return undefined
      const told = dropped
      dropped = undefined
      return told
    },
    positions: places.of,
    get backlog() {
      if (pendingBytes < MUCH_PENDING || removed) return undefined
      if (!writing) start()
      return writing
    },
    get removed() {
      return removed
    },
    async remove() {
      removed = true
      clearTimeout(timer)
      await writing
      for (const { done } of waiting) done()
      await rm(folder, { recursive: true, force: true })
    },
    async flush() {
      if (removed || (pending.length === 0 && !writing)) return
      const until = appended
      await new Promise<void>((done) => {
        waiting.push({ until, done })
        start()
      })
    },
  }
  return { journal, entries: entries.slice(-limits.logLinesKept), lastSeq: entries.at(-1)?.seq ?? 0 }
}

/** The newest position of each stream, and which of them are not on disk yet. */
function createPlaces() {
  const positions = new Map<string, Position>()
  let fresh = new Set<string>()
  let last = ''
  return {
    note(position: Position): void {
      const key = `${position.dyno} ${position.stream}`
      // Moved to the end, so that the oldest come first; most often it is there.
      if (key !== last) positions.delete(key)
      positions.set(key, position)
      fresh.add(key)
      last = key
      const oldest = positions.size > POSITIONS_KEPT ? positions.keys().next().value : undefined
      if (oldest !== undefined) positions.delete(oldest)
    },
    of: (dyno: string): Position[] =>
      ['stdout', 'stderr'].map((stream) => positions.get(`${dyno} ${stream}`)).filter((one) => one !== undefined),
    changed(): Position[] {
      const keys = [...fresh]
      fresh = new Set()
      return keys.map((key) => positions.get(key)).filter((one) => one !== undefined)
    },
    all(): Position[] {
      fresh = new Set()
      return [...positions.values()]
    },
  }
}
