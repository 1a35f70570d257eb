import type { LogChunk } from './engine.ts'
import type { Frame } from './frames.ts'

/** One entry of the engine's log: a line, or a part of one that is longer than 16 KiB. */
export interface Piece extends Frame {
  /** As the engine writes it, to the nanosecond. */
  stamp: string
}

/** Parts a log entry into the engine's time, which it starts with, and the output. */
export function startOf({ stream, data }: Frame): Piece {
  const blank = data.indexOf(0x20)
  return { stream, stamp: data.toString('latin1', 0, blank), data: data.subarray(blank + 1) }
}

const LONGEST = 16 * 1024
const NEWLINE = 0x0a

interface Pieces {
  next(piece: Piece): LogChunk
  /** For reading the end once more: from when, and what gives null for the pieces that were there before. */
  again(): { since: string | undefined; next(piece: Piece): LogChunk | null }
}

/** Parts of one line share a time, so that entries of the two streams may be out of order; by so many times they are still sorted out. */
const REMEMBERED = 300

/** Entries of one log in their order, as chunks. */
export function createPieces(): Pieces {
  /** Streams whose last piece was a part of a line. */
  const parts = new Set<Frame['stream']>()
  const seen = new Map<string, number>()
  /** The latest time that is no longer remembered. */
  let forgotten = ''

  const next = (piece: Piece): LogChunk => {
    seen.set(piece.stamp, (seen.get(piece.stamp) ?? 0) + 1)
    for (const [oldest] of seen) {
      if (seen.size <= REMEMBERED) break
      seen.delete(oldest)
      if (oldest > forgotten) forgotten = oldest
    }
    return { stream: piece.stream, at: Date.parse(piece.stamp), data: wholeLine(piece) }
  }

  /** The log driver `local` (20.10) loses the newline after the last part of a long line. */
  const wholeLine = ({ stream, data }: Piece): Buffer => {
    if (data.at(-1) === NEWLINE) parts.delete(stream)
    else if (data.length >= LONGEST) parts.add(stream)
    else if (parts.delete(stream)) return Buffer.concat([data, Buffer.from('\n')])
    return data
  }

  const again = () => {
    // Stamps are of one width, so that their order is that of their characters.
    const remembered = [...seen].filter(([stamp]) => stamp > forgotten)
    const [since] = remembered.map(([stamp]) => stamp).sort()
    let known = remembered.reduce((sum, [, count]) => sum + count, 0)
    return {
      since: since === undefined ? undefined : unixTime(since),
      next: (piece: Piece) => (known-- > 0 ? null : next(piece)),
    }
  }
  return { next, again }
}

/** `2026-11-23T11:32:20.448123456Z` as seconds and nanoseconds since the epoch, for `since`. */
function unixTime(stamp: string): string {
  const [whole = '', fraction = 'Z'] = stamp.split('.')
  return `${Date.parse(`${whole.replace('Z', '')}Z`) / 1000}.${fraction.replace('Z', '').padEnd(9, '0')}`
}
