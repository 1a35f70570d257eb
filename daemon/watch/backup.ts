import type { Last } from '../backup/backups.ts'
import { type Backup, listBackups, openShelf } from '../backup/shelf.ts'
import type { Daemon } from '../daemon.ts'
import { messageOf } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Finding, Look } from './finding.ts'

export const backupLook = (d: Daemon): Look => ({
  check: 'backups',
  look: async () =>
    findingOf({
      ...{ last: d.backups.last, kept: await listBackups(d.config) },
      ...{ every: d.config.backups.every, now: d.clock.now(), fault: await faultOf(d) },
    }),
})

/** Why none can be put into the folder. */
const faultOf = ({ config }: Daemon): Promise<string | undefined> => openShelf(config).then(() => undefined, messageOf)

/** The newest that there is, ms and bytes, and whether making one failed since. */
export interface Newest {
  at: number | null
  bytes: number
  count: number
  failure: string | null
}

export async function newestBackup({ config, backups }: Pick<Daemon, 'config' | 'backups'>): Promise<Newest> {
  const all = await listBackups(config)
  return { at: all[0]?.at ?? null, bytes: all[0]?.size ?? 0, count: all.length, failure: backups.last?.failure ?? null }
}

/** Pure. */
export function findingOf({
  last,
  kept,
  every,
  now,
  fault,
}: {
  last: Last | undefined
  kept: readonly Backup[]
  every: number | undefined
  now: number
  /** Why none can be put into the folder. */
  fault: string | undefined
}): Finding {
  const check = 'backups'
  if (fault !== undefined) return { check, state: 'fail', text: `None can be made. ${fault}` }
  const [newest] = kept
  const there = newest ? `The newest is of ${new Date(newest.at).toISOString()}.` : 'There is none.'
  if (last?.failure != null) {
    const text = `The last one was not made, at ${new Date(last.at).toISOString()}: ${last.failure} ${there}`
    return { check, state: 'fail', text, remedy: 'When that is mended: sluice backup' }
  }
  const remedy = 'Make one: sluice backup'
  if (newest && now - newest.at > (every === undefined ? limits.backupOld : 2 * every))
    return { check, state: 'warn', text: `${there} That is long ago.`, remedy }
  if (newest) return { check, state: 'ok', text: there }
  if (every !== undefined) return { check, state: 'warn', text: 'There is none yet.', remedy }
  const text = 'There is none, and none is made by itself.'
  return { check, state: 'warn', text, remedy: `${remedy}, or have them made: SLUICE_BACKUP_EVERY=24h` }
}
