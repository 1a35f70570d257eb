import { messageOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Db } from '../store/database.ts'
import type { Seal } from '../store/seal.ts'
import { type Settings, settingsOf } from './setting.ts'

/** What the config vars of these releases ask of the routers. */
export type SettingsOf = (releases: readonly string[]) => Promise<ReadonlyMap<string, Settings>>

interface Parts {
  db: Db
  seal: Seal
  log: Log
}

/** Rows that one query asks for by their ids. */
const BATCH = 500

/** Releases that it remembers; then it starts anew. */
const MOST = 20_000

/**
 * A release never changes, so its config vars are opened once: of a thousand apps two queries at the start and none afterwards.
 * `faulty` hears once a release which of them are not allowed; those set nothing.
 */
export function createSettings({ db, seal, log }: Parts, faulty: (app: string, faults: string[]) => void): SettingsOf {
  const known = new Map<string, Settings>()

  const open = (row: { id: string; config: string }): Record<string, string> => {
    try {
      return JSON.parse(seal.open(row.config, row.id))
    } catch (error) {
      log.error('config vars cannot be opened', { release: row.id, error: messageOf(error) })
      return {}
    }
  }

  const learn = async (releases: readonly string[]): Promise<void> => {
    const rows = await db
      .selectFrom('releases')
      .select(['id', 'app_id', 'config'])
      .where('id', 'in', releases)
      .execute()
    for (const row of rows) {
      const { settings, faults } = settingsOf(open(row))
      known.set(row.id, settings)
      if (faults.length > 0) faulty(row.app_id, faults)
    }
  }

  return async (releases) => {
    if (known.size > MOST) known.clear()
    const strange = releases.filter((release) => !known.has(release))
    for (let at = 0; at < strange.length; at += BATCH) await learn(strange.slice(at, at + BATCH))
    return new Map(releases.map((release) => [release, known.get(release) ?? {}]))
  }
}
