import { deleteSuperfluous } from '../build/slug/kept.ts'
import type { Daemon } from '../daemon.ts'
import { limits } from '../limits.ts'
import { isOver, spaceOf } from '../space.ts'
import { collect } from './collect.ts'
import { watchDynoFiles } from './dyno-files.ts'
import { type Holding, type HoldingKind, holdings } from './holding.ts'
import { createMeasure } from './measure.ts'
import { type Place, relieve, returning, type Spared, type Stage, stages } from './relief.ts'
import { createStrays, shelvesOf } from './stray.ts'

/**
 * Keeps disk in bounds. By rules, every hour and after each release; and when more is in use than SLUICE_DISK says, further than
 * by rules (`relief.ts`), by as much as is needed.
 *
 * One relief at a time, so that two do not take what one needs. When nothing is left to take, those who ask for room go on to see for
 * themselves whether there is enough (`build/disk.ts`), and refuse.
 */
export interface Disk {
  /** A release of the app was settled: slugs that it made superfluous go, in the background. */
  released(app: string): void
  /** Has what can go removed while too much is in use; who comes meanwhile waits for the same. Never rejects. */
  makeRoom(): Promise<void>
  /** By rules, and then if still too much is in use. For start and every hour; never rejects. */
  collect(): Promise<void>
  /** Everything that is kept, whose it is, how much and why; those who ask meanwhile share one walk. */
  survey(): Promise<Holding[]>
  /** Bytes by kind as the last survey found them; undefined before the first. */
  readonly measured: { at: number; kinds: Partial<Record<HoldingKind, number>> } | undefined
  /** Has all removed that can go, short of disk or not, and tells what went; slugs that could be rolled back to only with `slugs`. One after the other. */
  clear(options: { slugs: boolean }): Promise<Holding[]>
  /** Tells the apps whose dynos have written much, and surveys when nobody has for an hour. For every ten minutes; never rejects. */
  watch(): Promise<void>
  /** Lets what goes on end. */
  close(): Promise<void>
}

export interface Parts {
  stages: readonly Stage[]
  over(d: Daemon): Promise<ReadonlySet<Place>>
}

/** `daemon` is asked for when there is one. */
export function createDisk(daemon: () => Daemon, parts: Parts = { stages, over: overBudget }): Disk {
  const stopping = new AbortController()
  const waiting = new Set<string>()
  let following: Promise<void> | undefined
  let relieving: Promise<void> | undefined
  let collecting: Promise<void> | undefined
  let surveying: Promise<Holding[]> | undefined
  let clearing: Promise<Holding[]> = Promise.resolve([])
  let watching: Promise<void> | undefined
  const toldDynos = new Map<string, number>()
  let telling: Promise<void> | undefined
  let told = Number.NEGATIVE_INFINITY
  let measured: Disk['measured']
  let strays: ReturnType<typeof createStrays> | undefined
  let measure: ReturnType<typeof createMeasure> | undefined

  const follow = async (): Promise<void> => {
    const d = daemon()
    for (const app of waiting) {
      waiting.delete(app)
      if (stopping.signal.aborted) break
      await deleteSuperfluous(d, app, { rollbacks: d.config.slugs }).catch((error: unknown) =>
        d.log.warn('slugs that nothing needs could not be removed', { app, error }),
      )
    }
    // In one stretch with the end of the loop, so that nobody who comes is missed.
    following = undefined
  }

  const walk = async (): Promise<Holding[]> => {
    const d = daemon()
    measure ??= createMeasure(d.clock)
    const found: Holding[] = []
    for await (const holding of holdings(d, measure)) {
      stopping.signal.throwIfAborted()
      found.push(holding)
    }
    const kinds: Partial<Record<HoldingKind, number>> = {}
    for (const { kind, bytes } of found) kinds[kind] = (kinds[kind] ?? 0) + bytes
    measured = { at: d.clock.now(), kinds }
    return found
  }

  const look = async (): Promise<void> => {
    await watchDynoFiles(daemon(), toldDynos)
    if (measured === undefined || daemon().clock.now() - measured.at >= limits.sweep) await disk.survey()
  }

  const clear = async (slugs: boolean): Promise<Holding[]> => {
    const d = daemon()
    const before = await disk.survey()
    await disk.collect()
    const over = async () => new Set<Place>(['data', 'engine'])
    tell(
      d,
      await relieve(d, { stages: slugs ? stages : returning, over }, stopping.signal),
      'an administrator wished it',
    )
    const left = new Set((await walk()).map(keyOf))
    return before.filter((holding) => holding.spare && !left.has(keyOf(holding)))
  }

  const relief = async (): Promise<void> => {
    const d = daemon()
    const over = () => parts.over(d)
    if ((await over()).size === 0) return
    const taken = await relieve(d, { stages: parts.stages, over }, stopping.signal)
    tell(d, taken, 'the disk was short')
    const still = [...(await over())]
    if (still.length === 0 || stopping.signal.aborted) return
    if (d.clock.now() - told < limits.sweep) return
    told = d.clock.now()
    // Measuring may take long, and whoever wants room gets none by it.
    telling = disk
      .survey()
      .then((all) => holders(d, all))
      .then(
        (most) =>
          d.log.error('the disk is short, and nothing more can be removed that nobody needs', { where: still, most }),
        (error: unknown) =>
          d.log.error('the disk is short, and who holds most cannot be said', { where: still, error }),
      )
  }

  const disk: Disk = {
    released(app) {
      waiting.add(app)
      following ??= follow()
    },
    makeRoom() {
      relieving ??= relief()
        .catch((error: unknown) => daemon().log.error('no room could be made', { error }))
        .finally(() => {
          relieving = undefined
        })
      return relieving
    },
    collect() {
      const d = daemon()
      strays ??= createStrays(shelvesOf(d), d.clock, (kind, error) =>
        d.log.warn('what nobody owns was not looked for', { kind, error }),
      )
      collecting ??= collect(d, strays, stopping.signal)
        .then(() => disk.makeRoom())
        .finally(() => {
          collecting = undefined
        })
      return collecting
    },
    survey() {
      surveying ??= walk().finally(() => {
        surveying = undefined
      })
      return surveying
    },
    clear({ slugs }) {
      clearing = clearing.catch(() => []).then(() => clear(slugs))
      return clearing
    },
    watch() {
      watching ??= look()
        .catch((error: unknown) => daemon().log.warn('what holds disk was not looked at', { error }))
        .finally(() => {
          watching = undefined
        })
      return watching
    },
    get measured() {
      return measured
    },
    async close() {
      stopping.abort()
      await Promise.allSettled([following, relieving, collecting, telling, surveying, clearing, watching])
    },
  }
  return disk
}

/** An engine that does not answer is not asked for room. */
async function overBudget(d: Daemon): Promise<Set<Place>> {
  const places = new Set<Place>()
  if (isOver(await spaceOf(d.config.data), d.config.disk)) places.add('data')
  const images = await d.engine.images.space().catch(() => undefined)
  if (images && isOver(images, d.config.disk)) places.add('engine')
  return places
}

const keyOf = ({ kind, app, name }: Holding): string => `${kind} ${app} ${name}`

/** The daemon's log has what was taken from whom, an app's log what it has lost. */
function tell(d: Daemon, taken: readonly Spared[], reason: string): void {
  if (taken.length === 0) return
  const counts: Record<string, number> = {}
  for (const { kind, app } of taken) {
    const what = app === null ? kind : `${kind} of ${app}`
    counts[what] = (counts[what] ?? 0) + 1
  }
  d.log.warn(`${reason}, so something was removed`, { removed: counts })
  for (const { app, loses } of taken)
    if (app !== null && loses) d.logs.write(app, { at: d.clock.now(), source: 'app', dyno: 'api', text: loses() })
}

const SHOWN = 5

/** Who holds most, in bytes; the platform itself is among them. */
async function holders(d: Daemon, all: readonly Holding[]): Promise<Record<string, number>> {
  const sums = new Map<string, number>()
  for (const { app, bytes, why } of all) if (why !== 'not ours') sums.set(app ?? '', (sums.get(app ?? '') ?? 0) + bytes)
  const most = [...sums].toSorted(([, a], [, b]) => b - a).slice(0, SHOWN)
  const ids = most.map(([id]) => id)
  const apps = await d.db.selectFrom('apps').select(['id', 'name']).where('id', 'in', ids).execute()
  const names = new Map(apps.map(({ id, name }) => [id, name]))
  return Object.fromEntries(most.map(([id, bytes]) => [id === '' ? 'the platform' : (names.get(id) ?? id), bytes]))
}
