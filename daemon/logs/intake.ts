import type { LogChunk } from '../engine/engine.ts'
import { createSplitter } from './split.ts'

/** How far one stream of a dyno was read: all before `at`, and the first `count` lines that ended at `at` (the engine's time, ms). */
export interface Position {
  dyno: string
  stream: LogChunk['stream']
  at: number
  count: number
}

/** One stream of one reading: its lines, but for those that were read before. */
export interface Intake {
  take(chunk: LogChunk, each: (line: Buffer) => void): void
  /** What was left without a newline. */
  end(each: (line: Buffer) => void): void
  /** Of the line that `each` is called with. */
  readonly at: number
  readonly count: number
}

/** Goes on behind `from`. Parts of a long line share a time, so that a reading always begins at the beginning of a line. */
export function createIntake(from?: Position): Intake {
  const splitter = createSplitter()
  let resuming = from !== undefined
  let at = from?.at ?? 0
  let count = 0
  let skip = from?.count ?? 0

  const give = (lines: Buffer[], each: (line: Buffer) => void): void => {
    for (const line of lines) {
      count++
      if (skip > 0) skip--
      else each(line)
    }
  }

  return {
    take(chunk, each) {
      if (resuming && chunk.at < at) return
      if (chunk.at !== at) {
        resuming = false
        at = chunk.at
        count = 0
        skip = 0
      }
      give(splitter.push(chunk.data), each)
    },
    end: (each) => give(splitter.end(), each),
    get at() {
      return at
    },
    get count() {
      return count
    },
  }
}
