import type { Actor } from '../account/activity.ts'
import type { Daemon } from '../daemon.ts'
import { figures } from '../figures.ts'
import { releaseFailed } from '../run/notice.ts'
import { attendedRollouts, failRollout, type Rollout } from '../run/rollout.ts'
import { decide, type Tx } from '../store/database.ts'
import { applyChanges, describe } from './config.ts'
import { announceRelease, createRelease, newestNotFailed, openConfig, type Release } from './release.ts'

interface How {
  /** Not when it, or a later one that has its code, has come this far. */
  before?: 'cutover'
  /** Writes to the log why it failed, where more is to be said than that it did. */
  tell?: () => Promise<void>
}

/**
 * Fails a release, and those on their way that have its code; false when it was settled before. What config changes made while it was on
 * its way is not lost with it: releases of their own have it, on the code that is left.
 */
export async function failRelease(d: Daemon, release: string, reason: string, how: How = {}): Promise<boolean> {
  const { fallen, again } = await decide(d.db, async (tx) => {
    const fallen = await failRollout(tx, release, reason, { now: d.clock.now(), before: how.before })
    return { fallen, again: await changeAgain(d, tx, fallen) }
  })
  const [failed, ...others] = fallen
  if (!failed) return false
  for (const _ of fallen) figures.releases.add({ result: 'failed' })
  try {
    await (how.tell ?? (() => tellFallen(d, failed)))()
    for (const other of others) await tellFallen(d, other)
  } finally {
    // Whatever else goes wrong: who waits for it is not told again.
    for (const { release_id } of fallen) d.settlements.announce(release_id)
    d.disk.released(failed.app_id)
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
 * Releases once more, in their order, what config changes that were made on code which has failed have changed: those that fell with it, and
 * those that it had taken over from earlier code. What is older than the newest release that is left is in that, or was done away with by it.
 */
async function changeAgain(d: Daemon, tx: Tx, fallen: Rollout[]): Promise<Made[]> {
  const [failed] = fallen
  const base = failed && (await newestNotFailed(tx, failed.app_id))
  if (!base || !(await isLive(tx, failed.app_id))) return []
  const carriers = await carriersSince(tx, failed.app_id, base.version)
  const codes = new Map((await releasesNumbered(tx, failed.app_id, carriers)).map((code) => [code.version, code]))
  const lost = await codeOf(tx, failed.release_id)
  /** What was there before the first change on some code. */
  const starts = new Map<number, Record<string, string>>()
  let current = openConfig(d, base)
  const made: Made[] = []
  for (const carrier of carriers) {
    const code = codes.get(carrier.code)
    if (!code) continue
    const changes = changesBetween(openConfig(d, code), openConfig(d, carrier))
    const start = starts.get(carrier.code) ?? current
    let wanted = current
    if (fallen.some(({ version }) => version === carrier.code)) {
      starts.set(carrier.code, start)
      wanted = applyChanges(start, changes).config
    } else if (carrier.version < failed.version && lost)
      wanted = applyChanges(current, stillIn(openConfig(d, lost), changes)).config
    const { config, set, unset } = applyChanges(current, changesBetween(current, wanted))
    if (set.length + unset.length === 0) continue
    const account = { id: carrier.account_id, email: carrier.email }
    const description = `${describe(set, unset)} again, without the code of v${failed.version}`
    made.push([await createRelease(d, tx, { app: failed.app_id, account, description, config }), account])
    current = config
  }
  return made
}

/** Config changes after a release, on code that is newer than it. Whatever has become of them: one that did not boot may have failed of the code. */
const carriersSince = (tx: Tx, app: string, version: number) =>
  tx
    .selectFrom('releases')
    .innerJoin('accounts', 'accounts.id', 'releases.account_id')
    .select(['releases.id', 'releases.version', 'releases.config', 'releases.account_id', 'accounts.email'])
    .select((select) => select.ref('releases.code_version').$notNull().as('code'))
    .where('releases.app_id', '=', app)
    .where('releases.version', '>', version)
    .where('releases.code_version', '>', version)
    .whereRef('releases.code_version', '!=', 'releases.version')
    .orderBy('releases.version')
    .execute()

const releasesNumbered = (tx: Tx, app: string, carriers: readonly { code: number }[]) =>
  tx
    .selectFrom('releases')
    .select(['id', 'version', 'config'])
    .where('app_id', '=', app)
    .where(
      'version',
      'in',
      carriers.map(({ code }) => code),
    )
    .execute()

/** The release itself, if it brought code. */
const codeOf = (tx: Tx, id: string) =>
  tx
    .selectFrom('releases')
    .select(['id', 'config'])
    .where('id', '=', id)
    .whereRef('code_version', '=', 'version')
    .executeTakeFirst()

/** Pure. Those that a config has. */
const stillIn = (config: Record<string, string>, changes: Record<string, string | null>) =>
  Object.fromEntries(
    Object.entries(changes).filter(([name, value]) => (Object.hasOwn(config, name) ? config[name] : null) === value),
  )

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

async function tellFallen(d: Daemon, { app_id, release_id }: Rollout): Promise<void> {
  const row = await d.db
    .selectFrom('rollouts')
    .select(['version', 'reason'])
    .where('release_id', '=', release_id)
    .executeTakeFirst()
  if (!row) return
  const text = releaseFailed(row.version, row.reason ?? '')
  d.logs.write(app_id, { at: d.clock.now(), source: 'app', dyno: 'api', text })
}
