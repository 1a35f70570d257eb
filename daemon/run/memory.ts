import { limits } from '../limits.ts'
import type { DynoState } from '../store/schema.ts'
import type { Room } from './plan.ts'

/** What has memory or was promised it. Bytes. */
export interface Account {
  /** The sizes of all dynos of apps at rest, where every slot has its dyno and none of those is expected to grow. */
  resting: number
  /** The slots of the releases that serve, each of so much, and the dynos: of all other apps. */
  promised: { app: string; type: string; memory: number; quantity: number }[]
  dynos: Holder[]
  /** What each build that runs may take. */
  builds: readonly number[]
}

export interface Holder {
  id: string
  app: string
  /** Empty for a one-off dyno, which holds no slot. */
  type: string
  memory: number
  /** What it uses, as measured; null when that is not known. */
  used: number | null
  state: DynoState
  /** When it got its state. */
  since: number
}

export interface Machine {
  /** What dynos and builds may have together by their sizes; undefined: no such bound. */
  bound: number | undefined
  /** What could be had without taking it from anybody. */
  available: number
}

/**
 * How much may be promised. Two bounds, of which the narrower counts:
 *  - by size: what the operator has set, less the sizes of all that is there or was promised;
 *  - by use: what is free, less a reserve, and less what those may still take that have not come to rest: all of its size while a dyno
 *    starts, evenly less over its first minute up; all of a slot that has no dyno yet; all that a build may take.
 * Sizes alone would let 24 GB have 48 dynos of 512 MB, most of which use a tenth of it; without any bound the kernel would choose who ends.
 */
export function roomIn(account: Account, { bound, available }: Machine, now: number): Room {
  const groups = groupsOf(account)
  const builds = sum(account.builds)
  const least = Math.min
  const bySize = (alive: 'alive' | 'staying'): number =>
    (bound ?? Number.POSITIVE_INFINITY) -
    account.resting -
    builds -
    sum(groups.map((one) => Math.max(one.promised, one[alive])))
  const byUse = available - limits.memoryReserve - builds - sum(groups.map(({ vacant }) => vacant))
  const young = sum(account.dynos.map((dyno) => mayTake(dyno, now)))
  const given = sum(account.dynos.filter(isLeaving).map(({ used, memory }) => used ?? memory))
  const room = least(bySize('alive'), byUse - young)
  return { now: room, soon: Math.max(room, least(bySize('staying'), byUse + given)) }
}

interface Group {
  promised: number
  alive: number
  /** Of those alive, what is not on its way out. */
  staying: number
  /** Of its slots without a dyno. One that crashed has its slot, and is not expected to grow. */
  vacant: number
}

function groupsOf({ promised, dynos }: Account): Group[] {
  const groups = new Map<string, Group & { slots: number; each: number }>()
  const groupOf = ({ app, type }: { app: string; type: string }) => {
    const group = groups.get(`${app} ${type}`) ?? { promised: 0, alive: 0, staying: 0, vacant: 0, slots: 0, each: 0 }
    groups.set(`${app} ${type}`, group)
    return group
  }
  for (const slot of promised) {
    const { memory, quantity } = slot
    Object.assign(groupOf(slot), { promised: memory * quantity, slots: quantity, each: memory })
  }
  for (const dyno of dynos) {
    const group = groupOf(dyno)
    if (dyno.state !== 'crashed' && dyno.state !== 'down') group.alive += dyno.memory
    if (dyno.state === 'starting' || dyno.state === 'up') group.staying += dyno.memory
    group.slots--
  }
  return [...groups.values()].map((group) => ({ ...group, vacant: Math.max(0, group.slots) * group.each }))
}

/** What it uses matters no more: it will not grow, nor is it about to give anything back. */
export const isSettled = (dyno: Holder, now: number): boolean =>
  mayTake({ ...dyno, used: 0 }, now) === 0 && !isLeaving(dyno)

const isLeaving = ({ state }: Holder): boolean => state === 'draining' || state === 'stopping'

function mayTake({ state, since, memory, used }: Holder, now: number): number {
  if (state !== 'starting' && state !== 'up') return 0
  const youth = state === 'starting' ? 1 : Math.min(1, Math.max(0, 1 - (now - since) / limits.memorySettled))
  return Math.max(0, memory - (used ?? 0)) * youth
}

const sum = (numbers: readonly number[]): number => numbers.reduce((sum, one) => sum + one, 0)
