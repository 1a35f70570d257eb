import type { DynoState } from '../store/schema.ts'
import type { Process, Seen, Step, Target } from './plan.ts'

/** A place in the formation of a release, which one dyno at a time holds: `web.1` of v7. */
export interface Slot {
  release: string
  process: Process
  ordinal: number
}

export const slotsOf = ({ release, processes }: Target): Slot[] =>
  processes.flatMap((process) =>
    Array.from({ length: process.quantity }, (_, index) => ({ release, process, ordinal: index + 1 })),
  )

/** The best dyno for a slot: one that is up before one that starts before one that crashed. */
const RANK: Partial<Record<DynoState, number>> = { up: 0, starting: 1, crashed: 2 }

/** `marked`: also one that is to be replaced. */
export function keeperOf({ release, process, ordinal }: Slot, dynos: Seen[], marked = false): Seen | undefined {
  return dynos
    .filter(
      (dyno) =>
        dyno.release === release &&
        dyno.type === process.type &&
        dyno.ordinal === ordinal &&
        dyno.size === process.size &&
        (marked || !dyno.replace) &&
        RANK[dyno.state] !== undefined,
    )
    .sort((a, b) => (RANK[a.state] ?? 3) - (RANK[b.state] ?? 3) || b.createdAt - a.createdAt)[0]
}

/** The dyno that is up in a slot, also when it is to be replaced. */
export const incumbentOf = ({ release, process, ordinal }: Slot, dynos: Seen[]): Seen | undefined =>
  dynos.find(
    (dyno) => dyno.release === release && dyno.type === process.type && dyno.ordinal === ordinal && dyno.state === 'up',
  )

/** Crashes in a row that the successor begins with: those of a dyno that is replaced because its liveness check fails (liveness.ts). */
export function inherited(slot: Slot, dynos: Seen[]): number {
  const incumbent = incumbentOf(slot, dynos)
  return incumbent !== undefined && incumbent.retryAt !== null ? incumbent.crashes : 0
}

export const start = (
  { release, process: { type, size, command }, ordinal }: Slot,
  { crashes = 0, beyond = 0 }: { crashes?: number; beyond?: number } = {},
): Step => ({ do: 'start', release, type, ordinal, size, command, crashes, beyond })
