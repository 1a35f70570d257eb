import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readSync, statSync } from 'node:fs'
import { appendFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Line } from './line.ts'
import type { Entry } from './ring.ts'

/** How far a dyno's output was read: all of it before `at`, and the first `count` lines that ended at `at`. */
export interface Position {
  dyno: string
  at: number
  count: number
}

/**
 * One app's lines on disk: `current` is appended to and becomes `previous` when it is full, so that at most
 * twice the bound is stored. A line is JSON, so one torn by a power cut is known and left out.
 *
 *   append -> pending -- 50 ms, or the write before has ended --> appendFile -- full --> rename current to previous
 */
export interface Journal {
  /** Returns what was dropped before this line, when it is the first that the disk keeps up with again. */
  append(entry: Entry, position?: Position): { count: number; since: number } | undefined
  position(dyno: string): Position | undefined
  readonly removed: boolean
  remove(): Promise<void>
  /** Resolves when all is on disk. */
  close(): Promise<void>
}

const FILE_BYTES = 4 * 1024 * 1024
const PENDING_BYTES = 4 * 1024 * 1024
const BATCH_EVERY = 50
const POSITIONS_KEPT = 500

type Row = [
  seq: number,
  at: number,
  source: Line['source'],
  dyno: string,
  text: string,
  from?: [string, number, number] | undefined,
]

export function openJournal(folder: string, log: Log): { journal: Journal; entries: Entry[]; lastSeq: number } {
  const current = join(folder, 'current')
  const previous = join(folder, 'previous')
  const positions = new Map<string, Position>()
  const entries: Entry[] = []
  let whole = true
  let written = 0
  try {
    for (const file of [previous, current]) for (const row of rowsIn(file)) read(row)
    whole = endsWhole(current)
    written = sizeOf(current)
  } catch (error) {
    log.error('stored log lines could not be read', { folder, error })
  }

  function read(row: Row | { positions: Position[] }): void {
    if (!Array.isArray(row)) return row.positions.forEach(note)
    const [seq, at, source, dyno, text, from] = row
    entries.push({ seq, line: { at, source, dyno, text } })
    if (from) note({ dyno: from[0], at: from[1], count: from[2] })
  }

  function note(position: Position): void {
    positions.delete(position.dyno)
    positions.set(position.dyno, position)
    const oldest = positions.size > POSITIONS_KEPT ? positions.keys().next().value : undefined
    if (oldest !== undefined) positions.delete(oldest)
  }

  let pending: string[] = whole ? [] : ['\n']
  let pendingBytes = 0
  let dropped = { count: 0, since: 0 }
  let removed = false
  let timer: NodeJS.Timeout | undefined
  let writing: Promise<void> | undefined

  const flush = async (): Promise<void> => {
    while (pending.length > 0 && !removed) {
      const batch = pending.join('')
      pending = []
      pendingBytes = 0
      try {
        mkdirSync(folder, { recursive: true })
        await appendFile(current, batch)
        written += Buffer.byteLength(batch)
        if (written > FILE_BYTES) await rotate()
      } catch (error) {
        log.error('log lines could not be stored', { folder, error })
      }
    }
  }

  /** The new file begins with the positions, because the lines that carried them may be gone at the next turn. */
  const rotate = async (): Promise<void> => {
    await rename(current, previous)
    written = 0
    pending.unshift(`${JSON.stringify({ positions: [...positions.values()] })}\n`)
  }

  const start = (): void => {
    timer = undefined
    writing ??= flush().finally(() => {
      writing = undefined
      if (pending.length > 0 && !removed) schedule()
    })
  }
  const schedule = (): void => {
    timer ??= setTimeout(start, BATCH_EVERY)
  }

  const journal: Journal = {
    append({ seq, line: { at, source, dyno, text } }, position) {
      if (position) note(position)
      if (pendingBytes > PENDING_BYTES) {
        if (dropped.count++ === 0) dropped.since = at
        return undefined
      }
      const from = position && ([position.dyno, position.at, position.count] as [string, number, number])
      const row = `${JSON.stringify([seq, at, source, dyno, text, from] satisfies Row)}\n`
      pending.push(row)
      pendingBytes += row.length
      if (!writing) schedule()
      if (dropped.count === 0) return undefined
      const told = dropped
      dropped = { count: 0, since: 0 }
      return told
    },
    position: (dyno) => positions.get(dyno),
    get removed() {
      return removed
    },
    async remove() {
      removed = true
      clearTimeout(timer)
      await writing
      await rm(folder, { recursive: true, force: true })
    },
    async close() {
      clearTimeout(timer)
      timer = undefined
      while (pending.length > 0 || writing) {
        if (!writing) start()
        await writing
      }
      clearTimeout(timer)
    },
  }
  return { journal, entries: entries.slice(-limits.logLinesKept), lastSeq: entries.at(-1)?.seq ?? 0 }
}

function* rowsIn(file: string): Generator<Row | { positions: Position[] }> {
  if (!existsSync(file)) return
  for (const text of readFileSync(file, 'utf8').split('\n')) {
    const row = parse(text)
    if (row) yield row
  }
}

function parse(text: string): Row | { positions: Position[] } | undefined {
  try {
    const row: unknown = JSON.parse(text)
    if (Array.isArray(row) ? row.length >= 5 : typeof row === 'object' && row !== null && 'positions' in row)
      return row as Row
  } catch {
    // Torn by a power cut, or the empty text after the last newline.
  }
  return undefined
}

const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0

function endsWhole(file: string): boolean {
  if (!existsSync(file)) return true
  const fd = openSync(file, 'r')
  try {
    const size = sizeOf(file)
    const last = Buffer.alloc(1)
    return size === 0 || (readSync(fd, last, 0, 1, size - 1) === 1 && last[0] === 0x0a)
  } finally {
    closeSync(fd)
  }
}
