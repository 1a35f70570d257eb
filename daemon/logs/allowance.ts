/** What one dyno may write. Judged by the times at which it wrote, so that reading a backlog costs nothing. */
export interface Allowance {
  /** Whether a line of this time (ms) and size may be kept. One refusal lasts for the rest of its second, so that what is kept is in one piece. */
  take(at: number, bytes: number): boolean
}

const SECOND = 1000
/** A second that was quiet is made up for. */
const SAVED = 2

/** `lines` and `bytes` a second, and twice that after a second's rest. */
export function createAllowance({ lines, bytes }: { lines: number; bytes: number }): Allowance {
  let began = Number.NEGATIVE_INFINITY
  let leftLines = 0
  let leftBytes = 0
  let refused = false
  return {
    take(at, size) {
      if (at >= began + SECOND || at < began) {
        const seconds = Math.min(SAVED, Math.abs(at - began) / SECOND)
        leftLines = Math.min(SAVED * lines, leftLines + seconds * lines)
        leftBytes = Math.min(SAVED * bytes, leftBytes + seconds * bytes)
        began = at
        refused = false
      }
      if (refused || leftLines < 1 || leftBytes < size) {
        refused = true
        return false
      }
      leftLines--
      leftBytes -= size
      return true
    },
  }
}
