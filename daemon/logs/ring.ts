import type { Line } from './line.ts'
import type { Loss } from './loss.ts'

/** A kept line. `seq` grows within an app and is never used twice, over restarts too. */
export interface Entry {
  seq: number
  line: Line
  /** Set when the line tells a follower what it was too slow for. */
  loss?: Loss
}

export interface LogFilter {
  source?: 'app' | 'heroku'
  /** A dyno's name (`web.1`) or a process type (`web`). */
  dyno?: string
}

export const matches = (line: Line, { source, dyno }: LogFilter): boolean =>
  (source === undefined || line.source === source) &&
  (dyno === undefined || line.dyno === dyno || line.dyno.startsWith(`${dyno}.`))

/** The newest lines of one app. Each has a place: its number since the ring was made, so that a reader knows what it missed. */
export interface Ring {
  push(entry: Entry): void
  /** Place of the oldest kept line. */
  readonly oldest: number
  /** Place that the next line will have. */
  readonly next: number
  at(place: number): Entry | undefined
}

/** What a line takes in memory besides its text. */
const OVERHEAD = 100
/** Lines are dropped by so many at once. */
const SLACK = 256

/**
 * Keeps the newest `lines` lines and besides them what is read from `wanted` (a place) on, but never more than `bytes`, so that a reader
 * may fall behind for a while and an app that nobody reads takes little.
 */
export function createRing({ lines, bytes }: { lines: number; bytes: number }, wanted: () => number): Ring {
  let kept: (Entry | undefined)[] = []
  /** Index in `kept` of the oldest; what lies before it is cut off now and then, not line by line. */
  let head = 0
  let base = 0
  let size = 0
  const drop = (): void => {
    size -= weight(kept[head])
    kept[head++] = undefined
  }
  const prune = (): void => {
    const room = size > bytes ? bytes - bytes / 16 : bytes
    const unread = Math.min(wanted(), base + kept.length - lines) - base
    while (head < unread || (size > room && kept.length - head > 1)) drop()
    if (head < lines) return
    kept = kept.slice(head)
    base += head
    head = 0
  }
  let pushed = 0
  return {
    push(entry) {
      kept.push(entry)
      size += weight(entry)
      if (++pushed % SLACK === 0 || size > bytes) prune()
    },
    get oldest() {
      return base + head
    },
    get next() {
      return base + kept.length
    },
    at: (place) => kept[place - base],
  }
}

const weight = (entry: Entry | undefined): number => (entry ? entry.line.text.length + OVERHEAD : 0)
