import { randomUUID } from 'node:crypto'
import { limits } from '../../limits.ts'
import type { Line } from '../line.ts'
import type { Entry } from '../ring.ts'

/** Lines that are sent together, and again together when that fails. */
export interface Batch {
  /** Tells a receiver that it has seen the batch before. */
  id: string
  body: Buffer
  /** Messages in the body. */
  count: number
  /** Lines of the app among them: all but a notice that earlier ones were lost. */
  lines: number
  /** Number and time of the last line. */
  end: Place
}

/** How far a drain has got: `seq` is the number of the last line that was delivered, `at` its time. */
export interface Place {
  seq: number
  at: number
}

export interface BatchInProgress {
  add(entry: Entry): void
  readonly full: boolean
  finish(): Batch
}

/** `notice` goes before the lines. */
export function beginBatch(frame: (line: Line) => Buffer, notice: Line | undefined): BatchInProgress {
  const frames: Buffer[] = notice ? [frame(notice)] : []
  let bytes = 0
  let lines = 0
  let end: Place = { seq: 0, at: 0 }
  return {
    add({ seq, line, loss }) {
      const added = frame(line)
      frames.push(added)
      bytes += added.length
      if (!loss) lines++
      end = { seq, at: line.at }
    },
    get full() {
      return frames.length >= limits.drainBatchLines || bytes >= limits.drainBatchBytes
    },
    finish: () => ({
      id: randomUUID().replaceAll('-', '').toUpperCase(),
      body: Buffer.concat(frames),
      count: frames.length,
      lines,
      end,
    }),
  }
}
