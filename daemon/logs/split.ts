import { limits } from '../limits.ts'

/** Makes lines of the chunks of one stream. Holds at most one line's worth of bytes. */
export interface Splitter {
  /** The lines that this chunk ends. */
  push(chunk: Buffer): string[]
  /** What is left when the stream has ended. */
  end(): string[]
}

const NEWLINE = 0x0a

/** Lines end at `\n`; longer ones than Heroku takes are split at 10,000 bytes (https://devcenter.heroku.com/articles/logging#log-format). */
export function createSplitter(max: number = limits.logLine): Splitter {
  let held: Buffer[] = []
  let size = 0

  const take = (rest: Buffer): string => {
    const bytes = held.length === 0 ? rest : Buffer.concat([...held, rest])
    held = []
    size = 0
    return clean(bytes)
  }

  return {
    push(chunk) {
      const lines: string[] = []
      let from = 0
      while (from < chunk.length) {
        const newline = chunk.indexOf(NEWLINE, from)
        const to = newline === -1 ? chunk.length : newline
        const room = max - size
        if (to - from > room) {
          const cut = boundary(chunk, from, from + room)
          lines.push(take(chunk.subarray(from, cut)))
          from = cut
        } else if (newline === -1) {
          held.push(chunk.subarray(from))
          size += to - from
          from = to
        } else {
          lines.push(take(chunk.subarray(from, to)))
          from = to + 1
        }
      }
      return lines
    },
    end: () => (size === 0 ? [] : [take(Buffer.alloc(0))]),
  }
}

/** The last place at or before `at` that does not cut a UTF-8 character, when there is one near. */
function boundary(chunk: Buffer, from: number, at: number): number {
  for (let place = at; place > Math.max(from, at - 4); place--) if (((chunk[place] ?? 0) & 0xc0) !== 0x80) return place
  return at
}

/** Terminals and clients must survive what an app prints: no NUL, no CR of a CRLF or a progress bar, invalid UTF-8 replaced. */
const clean = (bytes: Buffer): string =>
  bytes.toString('utf8').replace(/\0/g, '').replace(/\r+$/, '').replace(/\r/g, ' ')
