import type { Actor } from '../account/activity.ts'
import type { Daemon } from '../daemon.ts'
import { figures } from '../figures.ts'
import { releaseFailed } from '../run/notice.ts'
import { attendedRollouts, failRollout, type Rollout } from '../run/rollout.ts'
import { decide, type Tx } from '../store/database.ts'
import { applyChanges, describe } from './config.ts'
import {
  announceRelease,
  configOfRelease,
  createRelease,
  newestNotFailed,
  openConfig,
  type Release,
} from './release.ts'

interface How {
  /** Not when it, or a later one that has its code, has come this far. */
  before?: 'cutover'
  /** Writes to the log why it failed. */
  tell?: () => Promise<void>
}

/**
 * Fails a release, and those on their way that have its code; false when it was settled before. What config changes made while it was on
 * its way is not lost with it: releases of their own have it, on the code that is left.
 */
export async function failRelease(d: Daemon, release: string, reason: string, how: How = {}): Promise<boolean> {
  const { fallen, again } = await decide(d.db, async (tx) => {
    const fallen = await failRollout(tx, release, reason, { now: d.clock.now(), before: how.before })
    return { fallen, again: fallen[0] ? await changeAgain(d, tx, fallen[0]) : [] }
  })
  if (fallen.length === 0) return false
  for (const _ of fallen) figures.releases.add({ result: 'failed' })
  try {
    await how.tell?.()
    for (const { release_id, app_id } of fallen.slice(1)) await tellFallen(d, app_id, release_id)
  } finally {
    // Whatever else goes wrong: who waits for it is not told again.
    for (const { release_id } of fallen) d.settlements.announce(release_id)
    for (const [made, by] of again) announceRelease(d, made, by, made.description)
  }
  return true
}

/** At start of the daemon: pushes that it was waiting on have been told that they failed, so their releases must not go live. */
export async function failAttended(d: Daemon): Promise<void> {
  for (const { release_id } of await attendedRollouts(d.db))
    await failRelease(d, release_id, 'The platform was restarted during this deploy. Push again.')
}

type Made = [release: Release, by: Actor]

/**
 * Releases once more, in their order, what those that had the failed one's code have changed of its config. What is older than the newest
 * release that is left is in that, or was done away with by it.
 */
async function changeAgain(d: Daemon, tx: Tx, { app_id, release_id, version }: Rollout): Promise<Made[]> {
  const base = await newestNotFailed(tx, app_id)
  const carriers = await carriersOf(tx, app_id, version, base?.version)
  if (!base || carriers.length === 0 || !(await isLive(tx, app_id))) return []
  const left = openConfig(d, base)
  const failed = await configOfRelease(d, release_id, tx)
  let current = left
  const made: Made[] = []
  for (const carrier of carriers) {
    const wanted = applyChanges(left, changesBetween(failed, openConfig(d, carrier))).config
    const { config, set, unset } = applyChanges(current, changesBetween(current, wanted))
    if (set.length + unset.length === 0) continue
    const account = { id: carrier.account_id, email: carrier.email }
    const description = `${describe(set, unset)} again, without the code of v${version}`
    made.push([await createRelease(d, tx, { app: app_id, account, description, config }), account])
    current = config
  }
  return made
}

/** Whatever has become of them: one that did not boot may have failed of the code. */
const carriersOf = (tx: Tx, app: string, version: number, after = version) =>
  tx
    .selectFrom('releases')
    .innerJoin('accounts', 'accounts.id', 'releases.account_id')
    .select(['releases.id', 'releases.config', 'releases.account_id', 'accounts.email'])
    .where('releases.app_id', '=', app)
    .where('releases.code_version', '=', version)
    .where('releases.version', '>', Math.max(version, after))
    .orderBy('releases.version')
    .execute()

const isLive = async (tx: Tx, app: string): Promise<boolean> =>
  (await tx.selectFrom('apps').select('destroyed_at').where('id', '=', app).executeTakeFirst())?.destroyed_at === null

/** Pure. What makes the second of the first; null unsets. */
export function changesBetween(
  before: Record<string, string>,
  after: Record<string, string>,
): Record<string, string | null> {
  const gone = Object.keys(before).filter((name) => !Object.hasOwn(after, name))
  const other = Object.entries(after).filter(([name, value]) => before[name] !== value)
  return Object.fromEntries([...gone.map((name) => [name, null]), ...other])
}

async function tellFallen(d: Daemon, app: string, release: string): Promise<void> {
  const row = await d.db
    .selectFrom('rollouts')
    .select(['version', 'reason'])
    .where('release_id', '=', release)
    .executeTakeFirst()
  if (!row) return
  const text = releaseFailed(row.version, row.reason ?? '')
  d.logs.write(app, { at: d.clock.now(), source: 'app', dyno: 'api', text })
}
