import type { LogChunk } from './engine.ts'
import type { Frame } from './frames.ts'

/** One entry of the engine's log: a line, or a part of one that is longer than 16 KiB. */
export interface Piece extends Frame {
  /** As the engine writes it, to the nanosecond. All are of one width, so that their order is that of their characters. */
  stamp: string
}

/** Parts a log entry into the engine's time, which it starts with, and the output. */
export function startOf({ stream, data }: Frame): Piece {
  const blank = data.indexOf(0x20)
  return { stream, stamp: data.toString('latin1', 0, blank), data: data.subarray(blank + 1) }
}

const LONGEST = 16 * 1024
const NEWLINE = 0x0a
const NEWLINES = Buffer.from('\n')
/** How far back the end is read again for the stream that was silent before it. */
const AGAIN = 1000
/** Entries of the two streams may be out of order by a little. */
const DISORDER = 10
/** The clock was set back when it has lost more than this on the one that only runs forward. */
const SET_BACK = 20
const SAMPLE = 1000

/** Where one stream was read to: all before `stamp`, and `count` entries of that time; `skip` of them are about to come again. */
interface Place {
  stamp: string
  count: number
  skip: number
  /** Its last entry was a part of a line. */
  part: boolean
}

export interface Pieces {
  /** Null when the entry was there before. */
  next(piece: Piece): LogChunk | null
  /** Time of the newest entry, ms; 0 before the first. */
  readonly newest: number
  /** The engine is about to repeat what is not older than `since` (ms): what was there before will be given no second time. */
  again(): { since: number | undefined }
  /** The same, for the end of a log. */
  end(): { since: number | undefined }
}

/**
 * Entries of one log as chunks, each of them once. An engine (20.10) that follows a log may begin a file anew after it has rotated it,
 * and so repeats up to all of it; within a stream times never go back, so that such entries are known, but for a clock that was set.
 */
export function createPieces(clock: () => number = wallClock): Pieces {
  const fresh = (): Place => ({ stamp: '', count: 0, skip: 0, part: false })
  const places = { stdout: fresh(), stderr: fresh() }
  const timeOf = createTimes()
  const both = [places.stdout, places.stderr]
  let newest = 0
  let newestStamp = ''
  let latest = clock()
  let sampled = 0

  const setBack = (): boolean => {
    const now = clock()
    const back = now < latest - SET_BACK
    latest = now
    return back
  }

  const expect = (): void => {
    for (const place of both) place.skip = place.count
  }

  /** A stream goes back in time, or gives its last line again after the other one has gone on. */
  const repeats = (place: Place, stamp: string): boolean =>
    stamp < place.stamp || (stamp === place.stamp && stamp < newestStamp && place.skip === 0 && !place.part)

  /** Whether the entry is there for the first time. */
  const first = (place: Place, stamp: string): boolean => {
    if (repeats(place, stamp)) {
      if (setBack()) forget()
      else expect()
    }
    if (stamp < place.stamp) return false
    if (stamp !== place.stamp) {
      place.stamp = stamp
      place.count = 0
      place.skip = 0
    }
    if (place.skip > 0) {
      place.skip--
      return false
    }
    place.count++
    return true
  }

  const forget = (): void => {
    for (const place of both) Object.assign(place, fresh())
    newestStamp = ''
    newest = 0
  }

  const repeat = (since: number | undefined): { since: number | undefined } => {
    expect()
    return { since: newest === 0 ? undefined : since }
  }

  return {
    next(piece) {
      const place = places[piece.stream]
      if (!first(place, piece.stamp)) return null
      const at = timeOf(piece.stamp)
      if (at > newest) newest = at
      if (piece.stamp > newestStamp) newestStamp = piece.stamp
      if (at > sampled + SAMPLE) {
        sampled = at
        latest = Math.max(latest, clock())
      }
      return { stream: piece.stream, at, data: wholeLine(place, piece.data) }
    },
    get newest() {
      return newest
    },
    again: () => repeat(newest - DISORDER),
    end: () => repeat(Math.max(newest - AGAIN, Math.min(...both.map(({ stamp }) => timeOf(stamp) - 1)))),
  }
}

/** The log driver `local` (20.10) loses the newline after the last part of a long line. */
function wholeLine(place: Place, data: Buffer): Buffer {
  if (data.at(-1) === NEWLINE) place.part = false
  else if (data.length >= LONGEST) place.part = true
  else if (place.part) {
    place.part = false
    return Buffer.concat([data, NEWLINES])
  }
  return data
}

/** `2026-11-23T11:32:20.448123456Z` as ms, with what a number holds of the rest; 0 for none. Neighbours share their second. */
function createTimes(): (stamp: string) => number {
  let second = ''
  let base = 0
  return (stamp) => {
    if (stamp === '') return 0
    const whole = stamp.slice(0, 19)
    if (whole !== second) {
      second = whole
      base = Date.parse(`${whole}Z`)
    }
    return base + Number(stamp.slice(20, 29)) / 1e6
  }
}

/** Runs as the clock that people read against the one that is never set. */
const wallClock = (): number => Date.now() - performance.now()
