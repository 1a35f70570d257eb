import { figures } from '../figures.ts'
import type { Position } from './intake.ts'
import type { Line } from './line.ts'
import { type Loss, lossLine } from './loss.ts'

/** What one dyno's output has lost and nobody was told yet. It is told a second after the first of it, and so once a second at most. */
export interface Losses {
  /** A line of this time was left out. `position`: how far the output was read by then. */
  dropped(at: number, position?: Position): void
  /** The engine has lost what was written before this time (ms). */
  gap(at: number): void
  tell(): void
}

const TELL_AFTER = 1000

/** `write` gets the line that tells of them, and how far the output was read by then. */
export function createLosses(dyno: string, write: (line: Line, position?: Position) => void): Losses {
  let loss: Loss | undefined
  let read: Position | undefined
  let timer: NodeJS.Timeout | undefined

  const tell = (): void => {
    clearTimeout(timer)
    if (!loss) return
    const line = lossLine('dyno', loss, dyno)
    loss = undefined
    write(line, read)
    read = undefined
  }
  const lost = (since: number): Loss => {
    if (!loss) {
      loss = { count: 0, since }
      timer = setTimeout(tell, TELL_AFTER)
    }
    return loss
  }
  return {
    dropped(at, position) {
      read = position
      lost(at).count++
      figures.logLoss.add({ where: 'dyno' })
    },
    gap(at) {
      lost(at).more = true
    },
    tell,
  }
}
