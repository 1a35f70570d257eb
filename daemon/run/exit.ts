import { type Clock, within } from '../clock.ts'
import type { Placed } from '../engine/engine.ts'
import type { Log } from '../log.ts'

/**
 * Ends of processes on their way to the app's log: each is told once, after the last line of its output.
 *
 *   running -- stop asked --> stopping -- seen to end, or gone --> told          told: until its row goes
 *      |                                                            ^
 *      +------------ seen to end, and the plan has come to it ------+
 *
 * Who was not asked to stop is told by the plan's step, so that `State changed from starting to up` comes before the end.
 */
export interface Exits {
  /** A stop begins, with so many ms from SIGTERM to SIGKILL; `running`: there is a process to end. */
  stopping(dyno: string, stop: { grace: number; running: boolean }): void
  isStopping(dyno: string): boolean
  /** The engine has told of the end. */
  seen(placed: Placed): void
  /** Resolves when it is told. Repeated calls are one. */
  tell(placed: Placed): Promise<void>
  /** The container is gone after a stop: tells the end of what ran, although the engine may not have told it, and forgets the dyno. */
  gone(placed: () => Placed | undefined, dyno: string): Promise<void>
  forget(dyno: string): void
}

/**
 * `overdue`: it ended by SIGKILL when its time was over. The exit code is null when the engine never told it. Who was asked to stop and did
 * has not run out of memory, whatever came before.
 */
export type Tell = (placed: Placed, overdue: boolean) => void | Promise<void>

const SIGKILLED = 137
/** The engine tells of an end by another way than that a stop is done, and that may be slower. */
const TOLD_WITHIN = 1000

export function createExits({ clock, log }: { clock: Clock; log: Log }, say: Tell): Exits {
  const stops = new Map<string, { at: number; grace: number; running: boolean }>()
  const told = new Map<string, Promise<void>>()
  const awaited = new Map<string, () => void>()

  const overdue = ({ id, exitCode }: Placed): boolean => {
    const asked = stops.get(id)
    if (!asked || asked.grace === 0 || exitCode !== SIGKILLED) return false
    return clock.now() - asked.at >= asked.grace
  }

  const tell = (placed: Placed): Promise<void> => {
    const known = told.get(placed.id)
    if (known) return known
    const outOfMemory = placed.outOfMemory && (!stops.has(placed.id) || placed.exitCode === SIGKILLED)
    const telling = Promise.resolve(say({ ...placed, outOfMemory }, overdue(placed))).catch((error: unknown) =>
      log.error('the end of a dyno was not told', { dyno: placed.id, error }),
    )
    told.set(placed.id, telling)
    return telling
  }

  const forget = (dyno: string): void => {
    stops.delete(dyno)
    told.delete(dyno)
  }

  return {
    stopping: (dyno, stop) => void stops.set(dyno, { at: clock.now(), ...stop }),
    isStopping: (dyno) => stops.has(dyno),
    seen(placed) {
      if (stops.get(placed.id)?.running) void tell(placed)
      awaited.get(placed.id)?.()
    },
    tell,
    async gone(placed, dyno) {
      if (placed()?.running)
        await within(clock, TOLD_WITHIN, new Promise<void>((resolve) => awaited.set(dyno, resolve)))
      awaited.delete(dyno)
      const last = placed()
      if (last && stops.get(dyno)?.running) await tell({ ...last, running: false, address: null })
      forget(dyno)
    },
    forget,
  }
}
