import { randomInt, randomUUID } from 'node:crypto'
import type { Selectable } from 'kysely'
import type { Account } from '../account/account.ts'
import { record } from '../account/activity.ts'
import { appNamed, appsOf, destroyApp, findApp } from '../app/app.ts'
import { requirePermission } from '../app/permission.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound } from '../errors.ts'
import { limits } from '../limits.ts'
import type { DbOrTx, Tx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import { pipelineConfig } from './config.ts'
import { insertCoupling } from './coupling.ts'
import { findPipeline, type Pipeline, requireMember } from './pipeline.ts'
import { findBranch } from './repository.ts'
import { configOf } from './review-app-config.ts'
import { createSetup } from './setup.ts'
import type { Place } from './source.ts'

type Row = Selectable<Schema['review_apps']>

/** An app for a branch (https://devcenter.heroku.com/articles/github-integration-review-apps). It goes with its app. */
export interface ReviewApp extends Row {
  status: 'creating' | 'created' | 'deleting' | 'errored'
  /** Why it is errored. */
  failure: string | null
  updated_at: number
}

export interface Wanted {
  pipeline: string
  branch: string
  /** Without it, the branch as it was pushed to the pipeline's repository. */
  source: { url: string; checksum?: string | null | undefined; version?: string | null | undefined } | undefined
  env: Record<string, string>
  pullRequest: number | null
}

/** Makes an app of a branch, in stage review of the pipeline, and begins to set it up. Throws UserError when the branch has one already. */
export async function createReviewApp(d: Daemon, account: Account, wanted: Wanted): Promise<ReviewApp> {
  const { branch } = wanted
  const pipeline = await findPipeline(d, account, wanted.pipeline)
  await requireMember(d, pipeline, account)
  if (branch.length === 0 || branch.length > limits.branchName || /\p{Cc}/u.test(branch))
    throw invalid(`A branch has a name of 1 to ${limits.branchName} characters.`)
  const place = await placeOf(d, account, pipeline, wanted)
  const name = await freeName(d, (await configOf(d.db, pipeline))?.base_name ?? pipeline.name, branch)
  const env = {
    ...(await pipelineConfig(d, pipeline, 'review')),
    ...{ HEROKU_APP_NAME: name, HEROKU_BRANCH: branch },
    ...(wanted.pullRequest === null ? {} : { HEROKU_PR_NUMBER: String(wanted.pullRequest) }),
    ...wanted.env,
  }
  const order = { place, env, environment: 'review' as const, manifest: false, buildpacks: null, stack: false }
  const id = randomUUID()
  await createSetup(d, account, {
    app: { name, ...(pipeline.owner_type === 'team' ? { team: { locked: false } } : {}) },
    order,
    async along(tx, app, setup) {
      await requireNone(tx, pipeline, branch)
      const now = setup.created_at
      await insertCoupling(tx, { app, pipeline, stage: 'review', now })
      const row = { id, pipeline_id: pipeline.id, app_id: app.id, setup_id: setup.id, account_id: account.id }
      const asked = { branch, pr_number: wanted.pullRequest, created_at: now }
      await tx
        .insertInto('review_apps')
        .values({ ...row, ...asked })
        .execute()
      const text = `Created as the review app of ${branch} in the pipeline ${pipeline.name}`
      await record(tx, account, { app: app.id, text, now })
    },
  })
  return findReviewApp(d, account, id)
}

/** Those of the pipeline that the account sees the app of, oldest first. */
export async function listReviewApps(d: Daemon, account: Account, pipeline: Pipeline): Promise<ReviewApp[]> {
  const all = await rows(d.db).where('review_apps.pipeline_id', '=', pipeline.id).execute()
  const apps = all.map(({ app_id }) => app_id)
  const seen = new Set((await appsOf(d.db, account).where('apps.id', 'in', apps).execute()).map(({ id }) => id))
  return all.filter(({ app_id }) => seen.has(app_id)).map(view)
}

/** Throws 404 unless the account made it, or sees its app. */
export async function findReviewApp(d: Daemon, account: Account, id: string): Promise<ReviewApp> {
  const row = await rows(d.db).where('review_apps.id', '=', id).executeTakeFirst()
  if (!row) throw notFound('review app', 'review_app')
  if (row.account_id !== account.id) await findApp(d.db, account, row.app_id)
  return view(row)
}

export async function reviewAppOf(d: Daemon, app: { id: string }): Promise<ReviewApp> {
  const row = await rows(d.db).where('review_apps.app_id', '=', app.id).executeTakeFirst()
  if (!row) throw notFound('review app', 'review_app')
  return view(row)
}

/** Destroys its app; with the app's last dyno its row is gone. */
export async function destroyReviewApp(d: Daemon, account: Account, id: string): Promise<ReviewApp> {
  const reviewApp = await findReviewApp(d, account, id)
  if (reviewApp.status === 'deleting') return reviewApp
  const app = await findApp(d.db, account, reviewApp.app_id)
  await requirePermission(d, app, account, 'manage')
  await destroyApp(d, app, account)
  return { ...reviewApp, status: 'deleting' }
}

/**
 * Every hour: ends those that got no new code for as long as their pipeline keeps them, if it wants them ended. One that cannot be ended is
 * told in the daemon's log and holds up no other.
 */
export async function destroyStale(d: Daemon): Promise<void> {
  const newest = d.db
    .selectFrom('builds')
    .select((select) => ['app_id', select.fn.max('created_at').as('at')])
    .groupBy('app_id')
    .as('newest')
  const kept = await rows(d.db)
    .innerJoin('review_app_configs as config', 'config.pipeline_id', 'review_apps.pipeline_id')
    .leftJoin(newest, 'newest.app_id', 'review_apps.app_id')
    .select(['newest.at', 'config.stale_days'])
    .where('destroy_stale', '=', 1)
    .where('destroyed_at', 'is', null)
    .execute()
  for (const { app_id, stale_days, created_at, at } of kept) {
    if (Math.max(created_at, at ?? 0) + stale_days * DAY > d.clock.now()) continue
    await destroyAsOwner(d, app_id).then(
      (app) => d.log.info('stale review app destroyed', { app, days: stale_days }),
      (error: unknown) => d.log.error('a stale review app was not destroyed', { app: app_id, error }),
    )
  }
}

async function destroyAsOwner(d: Daemon, id: string): Promise<string> {
  const app = await d.db.selectFrom('apps').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  const owner = await d.db.selectFrom('accounts').selectAll().where('id', '=', app.owner_id).executeTakeFirstOrThrow()
  await destroyApp(d, app, owner)
  return app.name
}

const DAY = 24 * 60 * 60 * 1000

async function placeOf(d: Daemon, account: Account, pipeline: Pipeline, { branch, source }: Wanted): Promise<Place> {
  if (source)
    return { kind: 'url', url: source.url, checksum: source.checksum ?? null, version: source.version ?? null }
  const { repository, commit } = await findBranch(d, account, { pipeline, branch })
  // As git asks for it: what is made of the code is the account's own.
  await requirePermission(d, await findApp(d.db, account, repository.app_id), account, 'deploy')
  return { kind: 'commit', app: repository.app_id, commit }
}

async function requireNone(tx: Tx, pipeline: Pipeline, branch: string): Promise<void> {
  const there = await rows(tx)
    .where('review_apps.pipeline_id', '=', pipeline.id)
    .where('branch', '=', branch)
    .where('destroyed_at', 'is', null)
    .executeTakeFirst()
  if (there) throw invalid(`The branch ${branch} has a review app already: ${there.app}. Destroy it first.`)
}

/** `PIPELINE-BRANCH-xxxx`, as much of both as an app's name takes. */
async function freeName(d: Daemon, base: string, branch: string): Promise<string> {
  const plain = branch.toLowerCase().replace(/[^a-z0-9]+/g, '-')
  const [left, right] = [base.slice(0, BASE), plain.slice(0, WHOLE - 2 - RANDOM - Math.min(base.length, BASE))]
  for (;;) {
    const random = randomInt(36 ** RANDOM)
      .toString(36)
      .padStart(RANDOM, '0')
    const name = `${left}-${right}-${random}`.replace(/-+/g, '-')
    if (!(await appNamed(d.db, name))) return name
  }
}

const [WHOLE, BASE, RANDOM] = [30, 14, 4]

const rows = (db: DbOrTx) =>
  db
    .selectFrom('review_apps')
    .innerJoin('apps', 'apps.id', 'review_apps.app_id')
    .innerJoin('app_setups', 'app_setups.id', 'review_apps.setup_id')
    .selectAll('review_apps')
    .select([
      'apps.name as app',
      'apps.destroyed_at',
      'app_setups.state',
      'app_setups.failure_message',
      'app_setups.updated_at',
    ])
    .orderBy('review_apps.created_at')

type Joined = Awaited<ReturnType<ReturnType<typeof rows>['executeTakeFirstOrThrow']>>

function view({ app: _, destroyed_at, state, failure_message, ...row }: Joined): ReviewApp {
  if (destroyed_at !== null) return { ...row, status: 'deleting', failure: null }
  if (state === 'failed') return { ...row, status: 'errored', failure: failure_message }
  return { ...row, status: state === 'succeeded' ? 'created' : 'creating', failure: null }
}
