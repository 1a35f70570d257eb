import { readFileSync } from 'node:fs'
import { sql } from 'kysely'
import type { Clock } from '../clock.ts'
import type { Engine } from '../engine/engine.ts'
import { invalid, type UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { servingReleases } from '../route/routes.ts'
import { type Db, type DbOrTx, decide } from '../store/database.ts'
import type { Awaited } from './awaited.ts'
import { resourcesOf } from './environment.ts'
import { type Account, isSettled, type Machine, roomIn } from './memory.ts'
import { megabytes } from './notice.ts'
import type { Room } from './plan.ts'
import type { Slot } from './slot.ts'

/**
 * The memory of this machine: what is left of it to promise (memory.ts decides), who waits for it. Dynos and slots are counted from their
 * rows, so whoever asks within the transaction in which it adds one cannot promise what another has just promised.
 */
export interface Capacity {
  room(db: DbOrTx): Promise<Room>
  /** Asks the engine what dynos use of which that matters: to be awaited before the transaction that asks for room. */
  measure(): Promise<void>
  /**
   * Does the work of a build with as much memory as it may have, when there is as much as it needs at least. While others build, it waits for
   * theirs. Throws UserError when there is not, and the reason of `signal` when that aborts.
   */
  build<Result>(signal: AbortSignal, work: (memory: number) => Promise<Result>): Promise<Result>
  /** What of an app is not started for lack of room. Returns what did not wait before. */
  wait(app: string, slots: readonly Slot[]): Slot[]
  waiting(app: string): Awaited[]
  /** Somebody has given memory back: those who wait are looked at again. */
  freed(): void
}

interface Parts {
  db: Db
  engine: Pick<Engine, 'memoryUsed'>
  clock: Clock
  bound: number | undefined
  poke(app: string): void
  /** Bytes; of the machine that the engine runs on. */
  available?: () => number
}

export function createCapacity({ db, engine, clock, bound, poke, available = availableMemory }: Parts): Capacity {
  const builds = new Set<{ memory: number }>()
  const waits = new Map<string, Awaited[]>()
  const ends = new Set<() => void>()
  /** Bytes by dyno, of those that start, are young or leave. */
  let used: ReadonlyMap<string, number> = new Map()
  let measured: { at: number; done: Promise<void> } = { at: Number.NEGATIVE_INFINITY, done: Promise.resolve() }

  const room = async (db: DbOrTx): Promise<Room> => {
    const machine: Machine = { bound, available: available() }
    const rows = await accountOf(db, used, clock.now())
    return roomIn({ ...rows, builds: [...builds].map(({ memory }) => memory) }, machine, clock.now())
  }

  const lookAtDynos = async (): Promise<void> => {
    const { dynos } = await accountOf(db, used, clock.now())
    const unsettled = dynos.filter((dyno) => !isSettled(dyno, clock.now()))
    const largest = unsettled.sort((one, other) => other.memory - one.memory).slice(0, limits.memoryMeasured)
    const found = await Promise.all(largest.map(async ({ id }) => [id, await engine.memoryUsed(id)] as const))
    used = new Map(found.flatMap(([id, bytes]) => (bytes === null ? [] : [[id, bytes]])))
  }

  const measure = (): Promise<void> => {
    const now = clock.now()
    if (Math.abs(now - measured.at) >= limits.memoryMeasuredEvery) measured = { at: now, done: lookAtDynos() }
    return measured.done
  }

  const freed = (): void => {
    for (const app of waits.keys()) poke(app)
  }

  const claim = async (signal: AbortSignal): Promise<{ memory: number }> => {
    while (true) {
      await measure()
      signal.throwIfAborted()
      let build: { memory: number } | undefined
      const claimed = await decide(db, async (tx) => {
        const left = await room(tx)
        if (left.now < limits.buildLeast) return left
        build = { memory: Math.min(limits.buildMemory, Math.floor(left.now)) }
        builds.add(build)
        return build
      }).catch((error: unknown) => {
        if (build) builds.delete(build)
        throw error
      })
      if ('memory' in claimed) return claimed
      if (builds.size === 0) throw noRoom('A build', limits.buildLeast, claimed)
      await anotherEnds(signal)
    }
  }

  const anotherEnds = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const go = () => {
        ends.delete(go)
        signal.removeEventListener('abort', go)
        resolve()
      }
      ends.add(go)
      signal.addEventListener('abort', go)
      if (signal.aborted) go()
    })

  return {
    room,
    measure,
    freed,
    async build(signal, work) {
      const build = await claim(signal)
      try {
        return await work(build.memory)
      } finally {
        builds.delete(build)
        for (const go of ends) go()
        freed()
      }
    },
    wait(app, slots) {
      const before = waits.get(app) ?? []
      const now = slots.map((slot) => before.find((one) => isSame(one.slot, slot)) ?? { slot, since: clock.now() })
      if (now.length > 0) waits.set(app, now)
      else waits.delete(app)
      return now.filter((one) => !before.includes(one)).map(({ slot }) => slot)
    },
    waiting: (app) => waits.get(app) ?? [],
  }
}

const isSame = (one: Slot, other: Slot): boolean =>
  one.release === other.release && one.process.type === other.process.type && one.ordinal === other.ordinal

/** Of apps at rest, which most are, only the sum is read: what is read one by one does not grow with their number. */
async function accountOf(db: DbOrTx, used: ReadonlyMap<string, number>, now: number): Promise<Omit<Account, 'builds'>> {
  const apps = await restless(db, now)
  const slots = await servingReleases(db)
    .innerJoin('formation', 'formation.app_id', 'apps.id')
    .select(['apps.id as app', 'formation.type', 'formation.size', 'formation.quantity'])
    .where('apps.id', 'in', apps)
    .where('formation.quantity', '>', 0)
    .where('formation.type', '!=', 'release')
    .where(sql<boolean>`exists (select 1 from json_each(slugs.process_types) as one where one.key = formation.type)`)
    .execute()
  const there = db.selectFrom('dynos').where('state', '!=', 'down')
  const dynos = await there
    .select(['id', 'app_id as app', 'type', 'size', 'state', 'updated_at as since', 'one_off'])
    .where('app_id', 'in', apps)
    .execute()
  const resting = await there
    .select(({ fn }) => ['size', fn.countAll<number>().as('dynos')])
    .where('app_id', 'not in', apps)
    .groupBy('size')
    .execute()
  return {
    promised: slots.map(({ size, ...slot }) => ({ ...slot, memory: memoryOf(size) })),
    dynos: dynos.map(({ size, one_off, type, ...dyno }) => ({
      ...dyno,
      ...{ type: one_off === null ? type : '', memory: memoryOf(size), used: used.get(dyno.id) ?? null },
    })),
    resting: resting.reduce((sum, { size, dynos }) => sum + dynos * memoryOf(size), 0),
  }
}

/** The apps with a dyno that has not come to rest (memory.ts), one of another size than it is to have, or fewer than slots. */
async function restless(db: DbOrTx, now: number): Promise<string[]> {
  const unlike = db
    .selectFrom('formation')
    .leftJoin('dynos', (join) =>
      join
        .onRef('dynos.app_id', '=', 'formation.app_id')
        .onRef('dynos.type', '=', 'formation.type')
        .on('one_off', 'is', null)
        .on('state', '!=', 'down'),
    )
    .select('formation.app_id')
    .groupBy('formation.id')
    .having(sql<boolean>`count(dynos.id) < formation.quantity or max(dynos.size != formation.size)`)
  const moving = db
    .selectFrom('dynos')
    .select('app_id')
    .where('state', '!=', 'down')
    .where(({ eb }) => eb.or([eb('state', '!=', 'up'), eb('updated_at', '>', now - limits.memorySettled)]))
  return (await unlike.union(moving).execute()).map(({ app_id }) => app_id)
}

const memoryOf = (size: string): number => resourcesOf(size).memory

/** Bytes of this machine that could be had without taking them from anybody. https://docs.kernel.org/filesystems/proc.html#meminfo */
export function availableMemory(): number {
  const [, kilobytes] = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8')) ?? []
  return Number(kilobytes) * 1024
}

/** Refuses what there is no room for: `what` is the beginning of a sentence, `needs` bytes. */
export function noRoom(what: string, needs: number, { now, soon }: Room, advice = SCALE_DOWN): UserError {
  const more = soon >= needs ? ' There may be enough in a minute: something starts or ends just now.' : ''
  return invalid(
    `${what} takes ${megabytes(needs)} of memory, and this machine has ${megabytes(Math.max(0, now))} left.${more} ${advice}`,
  )
}

/** What somebody can do who is told that there is no room. */
export const SCALE_DOWN =
  'Scale something down (heroku ps:scale), in this app or another, or ask for a smaller dyno type.'

/** The same for a release. */
export const OR_SERIAL =
  'Scale something down (heroku ps:scale), in this app or another; or let the old dyno stop before the new one starts, with nobody serving meanwhile: heroku features:enable serial-deploy.'
