import type { Piece } from './piece.ts'

/**
 * Whether a followed log is still whole. An engine (20.10) that is slower to send a log than a dyno is to write it passes over the
 * files that were filled meanwhile, and says nothing. That takes the time in which a file is filled: times jump by that much, after
 * an entry that was itself late by as much, in the middle of a lot of output. Where all three are seen, the log is read again from
 * there: what is stored is then complete, and when it no longer begins before the jump, something is lost.
 */
export interface Doubt {
  /** True from the entry on before which something may be missing. */
  about(piece: Piece): boolean
  /** So many bytes were read at once. */
  took(bytes: number): void
  /** For another reason. */
  raise(): void
  readonly raised: boolean
  /** Much was read of late. */
  readonly busy: boolean
}

/** A file of 20 MB (spec.ts) takes longer than this at any rate that an engine is known to write. */
const JUMP = 100
const LATE = 50
const MUCH = 512 * 1024
/** `MUCH` is what was read of late; half of it is forgotten in this time. */
const HALF_LIFE = 1000

/** What was stored when the reading `began` comes whole. */
export function createDoubt(pieces: { readonly newest: number }, began = Date.now()): Doubt {
  let raised = false
  let late = 0
  let much = 0
  let last = Date.now()
  return {
    about({ stamp }) {
      if (raised || late < LATE || much < MUCH) return raised
      const at = Date.parse(stamp)
      raised = at > began && at - pieces.newest > JUMP
      return raised
    },
    took(bytes) {
      const now = Date.now()
      much = much * 2 ** ((last - now) / HALF_LIFE) + bytes
      last = now
      late = now - pieces.newest
    },
    raise() {
      raised = true
    },
    get busy() {
      return much >= MUCH
    },
    get raised() {
      return raised
    },
  }
}
