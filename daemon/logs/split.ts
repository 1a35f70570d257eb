import { limits } from '../limits.ts'

/** Makes lines of the chunks of one stream, as bytes: what is dropped need not be decoded. Holds at most one line's worth. */
export interface Splitter {
  /** The lines that this chunk ends. */
  push(chunk: Buffer): Buffer[]
  /** What is left when the stream has ended. */
  end(): Buffer[]
}

const NEWLINE = 0x0a
/** At the end of every part of a long line but the last. */
const MARK = Buffer.from(' [continued]')

/**
 * Lines end at `\n`; longer ones than Heroku takes are split into parts of 10,000 bytes at most
 * (https://devcenter.heroku.com/articles/logging#log-format), and marked, so that a reader can tell a part from a line.
 */
export function createSplitter(max: number = limits.logLine): Splitter {
  let held: Buffer[] = []
  let size = 0

  const hold = (bytes: Buffer): void => {
    if (bytes.length === 0) return
    held.push(bytes)
    size += bytes.length
  }
  const take = (rest: Buffer): Buffer => {
    const bytes = size === 0 ? rest : Buffer.concat([...held, rest])
    held = []
    size = 0
    return bytes
  }
  /** The first part of a line that is longer than the limit; what is beyond the cut is held. */
  const part = (rest: Buffer): Buffer => {
    const bytes = take(rest)
    const cut = boundary(bytes, max - MARK.length)
    hold(bytes.subarray(cut))
    return Buffer.concat([bytes.subarray(0, cut), MARK])
  }

  return {
    push(chunk) {
      const lines: Buffer[] = []
      let from = 0
      while (from < chunk.length) {
        const newline = chunk.indexOf(NEWLINE, from)
        const to = newline === -1 ? chunk.length : newline
        const room = max - size
        if (to - from > room) {
          lines.push(part(chunk.subarray(from, from + room)))
          from += room
        } else if (newline === -1) {
          hold(chunk.subarray(from))
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
function boundary(bytes: Buffer, at: number): number {
  for (let place = at; place > Math.max(0, at - 4); place--) if (((bytes[place] ?? 0) & 0xc0) !== 0x80) return place
  return at
}

const CARRIAGE_RETURN = 0x0d

/** Terminals and clients must survive what an app prints: no NUL, no CR of a CRLF or a progress bar, invalid UTF-8 replaced. */
export function textOf(line: Buffer): string {
  const text = line.toString('utf8')
  return line.includes(0) || line.includes(CARRIAGE_RETURN)
    ? text.replace(/\0/g, '').replace(/\r+$/, '').replace(/\r/g, ' ')
    : text
}
