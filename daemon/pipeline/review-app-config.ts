import type { Selectable } from 'kysely'
import type { Account } from '../account/account.ts'
import { record } from '../account/activity.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound } from '../errors.ts'
import { type DbOrTx, decide } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import type { Pipeline } from './pipeline.ts'

/** How a pipeline's review apps are made, and when they end. None is made without being asked for: there are no pull requests here. */
export type ReviewAppConfig = Selectable<Schema['review_app_configs']>

export interface Wishes {
  automatic_review_apps?: boolean | undefined
  destroy_stale_apps?: boolean | undefined
  wait_for_ci?: boolean | undefined
  stale_days?: number | undefined
  base_name?: string | null | undefined
}

const STALE_DAYS = 5

export const configOf = (db: DbOrTx, { id }: { id: string }): Promise<ReviewAppConfig | undefined> =>
  db.selectFrom('review_app_configs').selectAll().where('pipeline_id', '=', id).executeTakeFirst()

/** Throws 404 when review apps are not enabled. */
export async function findConfig(db: DbOrTx, pipeline: Pipeline): Promise<ReviewAppConfig> {
  const config = await configOf(db, pipeline)
  if (!config) throw notFound('review app config: enable review apps first', 'review_app_config')
  return config
}

export function enableReviewApps(
  d: Daemon,
  pipeline: Pipeline,
  account: Account,
  wishes: Wishes,
): Promise<ReviewAppConfig> {
  check(wishes)
  const now = d.clock.now()
  return decide(d.db, async (tx) => {
    if (await configOf(tx, pipeline)) throw invalid(`Review apps are enabled already for ${pipeline.name}.`)
    const { stale_days = STALE_DAYS, destroy_stale_apps = false, base_name = null } = wishes
    const fields = { stale_days, destroy_stale: destroy_stale_apps ? (1 as const) : (0 as const), base_name }
    const config = { pipeline_id: pipeline.id, ...fields, created_at: now, updated_at: now }
    await tx.insertInto('review_app_configs').values(config).execute()
    await record(tx, account, { app: null, text: `Enabled review apps of pipeline ${pipeline.name}`, now })
    return config
  })
}

export function changeReviewApps(
  d: Daemon,
  pipeline: Pipeline,
  account: Account,
  wishes: Wishes,
): Promise<ReviewAppConfig> {
  check(wishes)
  const now = d.clock.now()
  return decide(d.db, async (tx) => {
    const before = await findConfig(tx, pipeline)
    const { stale_days = before.stale_days, base_name = before.base_name } = wishes
    const { destroy_stale_apps = before.destroy_stale === 1 } = wishes
    const destroy_stale = destroy_stale_apps ? (1 as const) : (0 as const)
    const changed = { stale_days, destroy_stale, base_name, updated_at: now }
    await tx.updateTable('review_app_configs').set(changed).where('pipeline_id', '=', pipeline.id).execute()
    await record(tx, account, { app: null, text: `Changed how pipeline ${pipeline.name} makes review apps`, now })
    return { ...before, ...changed }
  })
}

/** The review apps that there are stay. */
export function disableReviewApps(d: Daemon, pipeline: Pipeline, account: Account): Promise<ReviewAppConfig> {
  const now = d.clock.now()
  return decide(d.db, async (tx) => {
    const config = await findConfig(tx, pipeline)
    await tx.deleteFrom('review_app_configs').where('pipeline_id', '=', pipeline.id).execute()
    await record(tx, account, { app: null, text: `Disabled review apps of pipeline ${pipeline.name}`, now })
    return config
  })
}

const BASE = /^[a-z][a-z0-9-]{0,29}$/

function check({ automatic_review_apps, wait_for_ci, stale_days, base_name }: Wishes): void {
  if (automatic_review_apps)
    throw invalid(
      'Review apps cannot be made by themselves: that needs the pull requests of GitHub. Make one of a branch with heroku reviewapps:create.',
    )
  if (wait_for_ci) throw invalid('Review apps cannot wait for CI: there are no test runs here.')
  if (stale_days !== undefined && (stale_days < 1 || stale_days > 30))
    throw invalid('stale_days must be between 1 and 30.')
  if (base_name != null && !BASE.test(base_name))
    throw invalid(
      'base_name must start with a letter, can only contain lowercase letters, digits, and dashes, and has at most 30 characters.',
    )
}
