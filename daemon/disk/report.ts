import type { Daemon } from '../daemon.ts'
import { nameOf } from '../run/dyno.ts'
import { isOver, mostOf, type Space, spaceOf } from '../space.ts'
import type { Holding } from './holding.ts'
import type { Place } from './relief.ts'

/** What an operator asks: how full it is, and what holds how much. Sizes are bytes. */
export interface Sum {
  count: number
  size: number
  /** Of these, what can go. */
  spare: { count: number; size: number }
}

/** Pure. Largest first. */
export function sumBy<Key>(all: readonly Holding[], keyOf: (holding: Holding) => Key): [Key, Sum][] {
  const sums = new Map<Key, Sum>()
  for (const holding of all) {
    const key = keyOf(holding)
    const sum = sums.get(key) ?? { count: 0, size: 0, spare: { count: 0, size: 0 } }
    sum.count++
    sum.size += holding.bytes
    if (holding.spare) {
      sum.spare.count++
      sum.spare.size += holding.bytes
    }
    sums.set(key, sum)
  }
  return [...sums].sort(([, a], [, b]) => b.size - a.size)
}

export interface FileSystem {
  place: Place
  size: number
  used: number
  free: number
  /** How much of it may be in use (SLUICE_DISK). */
  budget: number
  /** More is in use, or too little is left for builds. */
  short: boolean
}

/** Where the data folder is and where the engine has its images, which may be the same; an engine that does not answer is left out. */
export async function fileSystems(d: Daemon): Promise<FileSystem[]> {
  const { disk, data } = d.config
  const found: [Place, Space | undefined][] = [
    ['data', await spaceOf(data)],
    ['engine', await d.engine.images.space().catch(() => undefined)],
  ]
  return found.flatMap(([place, space]) => {
    if (!space) return []
    const { size, free } = space
    return [{ place, size, used: size - free, free, budget: mostOf(space, disk), short: isOver(space, disk) }]
  })
}

/** What people call the things of an app that have ids: the newest release of a slug (`v12`), a dyno (`web.1`). */
export async function namesOf(d: Daemon, app: string): Promise<Map<string, string>> {
  const names = new Map<string, string>()
  const releases = d.db.selectFrom('releases').select(['slug_id', 'version']).where('app_id', '=', app)
  for (const { slug_id, version } of await releases.orderBy('version').execute())
    if (slug_id !== null) names.set(slug_id, `v${version}`)
  const dynos = d.db.selectFrom('dynos').select(['id', 'type', 'ordinal']).where('app_id', '=', app)
  for (const { id, ...dyno } of await dynos.execute()) names.set(id, nameOf(dyno))
  return names
}
