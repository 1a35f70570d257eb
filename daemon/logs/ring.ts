import type { Line } from './line.ts'

/** A kept line. `seq` grows within an app and is never used twice, over restarts too. */
export interface Entry {
  seq: number
  line: Line
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

/** Keeps the newest `lines` lines, fewer when they are larger than `bytes` together. */
export function createRing({ lines, bytes }: { lines: number; bytes: number }): Ring {
  let kept: (Entry | undefined)[] = []
  /** Index in `kept` of the oldest; what lies before it is cut off now and then, not line by line. */
  let head = 0
  let base = 0
  let size = 0
  const drop = (): void => {
    size -= kept[head]?.line.text.length ?? 0
    kept[head++] = undefined
    if (head < lines) return
    kept = kept.slice(head)
    base += head
    head = 0
  }
  return {
    push(entry) {
      kept.push(entry)
      size += entry.line.text.length
      while (kept.length - head > lines || (size > bytes && kept.length - head > 1)) drop()
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
