import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import type { Selectable } from 'kysely'
import { type Account, accountNamed } from '../account/account.ts'
import { record } from '../account/activity.ts'
import { type App, appsOf, findApp } from '../app/app.ts'
import { permissionsOf, requirePermission } from '../app/permission.ts'
import { copySlug, findSlug, insertSlug, removeSlug, type Slug } from '../build/slug/slug.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound, UserError } from '../errors.ts'
import { failpoint } from '../failpoint.ts'
import { limits } from '../limits.ts'
import { outcome } from '../release/outcome.ts'
import { announceRelease, createRelease, findRelease, listReleases, type Release } from '../release/release.ts'
import { type Db, decide, type Tx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import { type Coupling, listCouplings } from './coupling.ts'
import { findPipeline } from './pipeline.ts'

export type Promotion = Selectable<Schema['pipeline_promotions']>

/**
 * One app that a slug is promoted to.
 *
 *   (promote) --> pending, no release -- slug copied, release made (release) --> pending, with a release -- it serves --> succeeded
 *                        |                                                          |
 *                        +-- may not, has it already, the source is gone --> failed <-- the release failed
 *
 * pending without release: nothing of the target has changed. pending with one: the target's own runner takes it to the public, also
 * when the daemon dies. Whatever is pending at the start of the daemon goes on from there. succeeded, failed: final; failed says why.
 */
export type Target = Selectable<Schema['pipeline_promotion_targets']>

export interface Wanted {
  pipeline: string
  source: { app: string; release?: string | undefined }
  /** Ids of apps; without any, all of the next stage. */
  targets: readonly string[]
}

/** Begins to give the code of one app of a pipeline to others, as it was built. Throws UserError for what cannot be promoted. */
export async function promote(d: Daemon, account: Account, wanted: Wanted): Promise<Promotion> {
  const pipeline = await findPipeline(d, account, wanted.pipeline)
  const couplings = await listCouplings(d.db, account, { pipeline: pipeline.id })
  const app = await findApp(d.db, account, wanted.source.app)
  const source = couplings.find(({ app_id }) => app_id === app.id)
  if (!source) throw invalid(`${app.name} is not in the pipeline ${pipeline.name}. Add it first: heroku pipelines:add.`)
  // Its code goes where the account may read it, which only those may who deploy.
  await requirePermission(d, app, account, 'deploy')
  const release = await promotable(d, app, wanted.source.release)
  const targets = targetsOf(source, couplings, wanted.targets)
  const promotion: Promotion = {
    id: randomUUID(),
    pipeline_id: pipeline.id,
    source_app_id: app.id,
    source_release_id: release.id,
    account_id: account.id,
    created_at: d.clock.now(),
  }
  const now = promotion.created_at
  const text = `Promoted v${release.version} to ${targets.map((target) => target.app).join(', ')}`
  await decide(d.db, async (tx) => {
    await insert(tx, promotion, targets)
    await record(tx, account, { app: app.id, text, now })
  })
  await failpoint('promotion.begun')
  d.logs.write(app.id, { at: now, source: 'app', dyno: 'api', text: `${text} by user ${account.email}` })
  begin(d, promotion)
  return promotion
}

/** After a restart of the daemon: goes on with what is pending. */
export async function resumePromotions(d: Daemon): Promise<void> {
  const pending = await d.db
    .selectFrom('pipeline_promotions')
    .innerJoin('pipeline_promotion_targets', 'pipeline_promotion_targets.promotion_id', 'pipeline_promotions.id')
    .selectAll('pipeline_promotions')
    .where('status', '=', 'pending')
    .distinct()
    .execute()
  for (const promotion of pending) begin(d, promotion)
}

const begin = (d: Daemon, promotion: Promotion): void =>
  d.underway.begin('promotion', promotion.id, (signal) => carryOut(d, promotion, signal))

/** Throws 404 unless the account may see the pipeline. */
export async function findPromotion(d: Daemon, account: Account, id: string): Promise<Promotion> {
  const promotion = await d.db.selectFrom('pipeline_promotions').selectAll().where('id', '=', id).executeTakeFirst()
  if (!promotion) throw notFound('pipeline promotion', 'pipeline_promotion')
  await findPipeline(d, account, promotion.pipeline_id)
  return promotion
}

/** Whoever asked for the promotion sees all, others those that are apps which they see. */
export async function listTargets(d: Daemon, account: Account, promotion: Promotion): Promise<Target[]> {
  const targets = await targetsIn(d.db, promotion.id)
  if (promotion.account_id === account.id) return targets
  const apps = targets.map(({ app_id }) => app_id)
  const seen = new Set((await appsOf(d.db, account).where('apps.id', 'in', apps).execute()).map(({ id }) => id))
  return targets.filter(({ app_id }) => seen.has(app_id))
}

const targetsIn = (db: Db, promotion: string): Promise<Target[]> =>
  db.selectFrom('pipeline_promotion_targets').selectAll().where('promotion_id', '=', promotion).orderBy('id').execute()

/** The release that serves, or the one that is named; it has code. */
async function promotable(d: Daemon, app: App, wanted: string | undefined): Promise<Release> {
  const release =
    wanted === undefined
      ? (await listReleases(d.db, app.id)).find(({ current }) => current)
      : await findRelease(d.db, app.id, wanted)
  if (!release || release.slug_id === null)
    throw invalid(`${app.name} has no code to promote. Deploy it first: git push heroku main.`)
  if (release.status !== 'succeeded')
    throw invalid(`v${release.version} of ${app.name} cannot be promoted: it never served.`)
  return release
}

/** Whose code goes whither by itself. */
const FLOW: readonly string[] = ['development', 'staging', 'production']

/** Those named, all in the pipeline and none the source itself; or all in the stage after the source's. */
function targetsOf(source: Coupling, couplings: Coupling[], named: readonly string[]): Coupling[] {
  if (named.length === 0) {
    const next = FLOW.includes(source.stage) ? FLOW[FLOW.indexOf(source.stage) + 1] : undefined
    if (!next)
      throw invalid(`Nothing comes after the stage ${source.stage} of ${source.app}. Name the apps to promote to.`)
    const downstream = couplings.filter(({ stage }) => stage === next)
    if (downstream.length > 0) return downstream
    throw invalid(`There is no app to promote ${source.app} to in the stage ${next}. Add one: heroku pipelines:add.`)
  }
  const targets = named.map((id) => {
    const target = couplings.find(({ app_id, app }) => app_id === id || app === id)
    if (!target) throw invalid(`There is no app ${id.slice(0, 100)} in the pipeline ${source.pipeline}.`)
    if (target.app_id === source.app_id)
      throw invalid(`Cannot promote from an app to itself: ${source.app}. Specify a different target app.`)
    return target
  })
  return [...new Set(targets)]
}

/** A pipeline keeps its newest promotions; older ones that are over are forgotten. */
async function insert(tx: Tx, promotion: Promotion, targets: Coupling[]): Promise<void> {
  await tx.insertInto('pipeline_promotions').values(promotion).execute()
  await tx
    .insertInto('pipeline_promotion_targets')
    .values(
      targets.map(({ app_id }) => ({
        ...{ id: randomUUID(), promotion_id: promotion.id, app_id, release_id: null },
        ...{ status: 'pending' as const, error_message: null, updated_at: promotion.created_at },
      })),
    )
    .execute()
  const old = tx
    .selectFrom('pipeline_promotions')
    .select('id')
    .where('pipeline_id', '=', promotion.pipeline_id)
    .orderBy('created_at', 'desc')
    .limit(-1)
    .offset(limits.promotionsKept)
  const pending = tx.selectFrom('pipeline_promotion_targets').select('promotion_id').where('status', '=', 'pending')
  await tx.deleteFrom('pipeline_promotions').where('id', 'in', old).where('id', 'not in', pending).execute()
}

/** Every target by itself: one that fails does not hold up the others. */
async function carryOut(d: Daemon, promotion: Promotion, signal: AbortSignal): Promise<void> {
  const pending = (await targetsIn(d.db, promotion.id)).filter(({ status }) => status === 'pending')
  await Promise.all(pending.map((target) => reach(d, promotion, target, signal)))
}

async function reach(d: Daemon, promotion: Promotion, target: Target, signal: AbortSignal): Promise<void> {
  const end = await endOf(d, promotion, target, signal)
  // The daemon is stopping: it stays pending, and the next start goes on.
  if (end === undefined) return
  while (!(await settled(d, target, end))) await setTimeout(SETTLE_AGAIN, undefined, { signal })
}

type End = Pick<Target, 'status' | 'error_message'>

/** What has become of it; undefined when the signal aborts before that is known. */
async function endOf(d: Daemon, promotion: Promotion, target: Target, signal: AbortSignal): Promise<End | undefined> {
  try {
    const copy = () => releaseTo(d, promotion, target)
    const release = target.release_id ?? (await d.underway.inTurn('copy', copy, signal))
    const { succeeded, reason } = await outcome(d, release, signal)
    if (!succeeded) throw invalid(reason ?? 'The release failed.')
    return { status: 'succeeded', error_message: null }
  } catch (error) {
    if (signal.aborted) return undefined
    const words = error instanceof UserError ? error.message : FAULT
    if (!(error instanceof UserError)) d.log.error('a promotion failed', { promotion: promotion.id, error })
    return { status: 'failed', error_message: words }
  }
}

/** What is known and cannot be written now, as on a full disk, is written later: it must not become something else. */
const SETTLE_AGAIN = 1000

async function settled(d: Daemon, target: Target, end: End): Promise<boolean> {
  try {
    await failpoint('promotion.served')
    await settle(d, target, end)
    return true
  } catch (error) {
    d.log.error('the end of a promotion could not be written', { target: target.id, error })
    return false
  }
}

const FAULT = 'Something went wrong on the platform. Its log has the cause.'

/** Copies the slug and releases it as one decision with the target's row; nothing was changed when it throws. */
async function releaseTo(d: Daemon, promotion: Promotion, target: Target): Promise<string> {
  const { account, app, source, slug } = await look(d, promotion, target)
  const { slug: copy, fresh } = await copySlug(d, slug, app.id)
  const description = `Promote ${source.name} v${source.version} ${slug.commit?.slice(0, 8) ?? ''}`.trim()
  const release = await decide(d.db, async (tx) => {
    if (fresh) await insertSlug(tx, copy)
    const release = await createRelease(d, tx, { app: app.id, account, description, slugId: copy.id })
    await tx
      .updateTable('pipeline_promotion_targets')
      .set({ release_id: release.id, updated_at: d.clock.now() })
      .where('id', '=', target.id)
      .execute()
    return release
  }).catch(async (error: unknown) => {
    if (fresh) await removeSlug(d, copy)
    throw error
  })
  await failpoint('promotion.released')
  announceRelease(d, release, account, description)
  return release.id
}

interface Looked {
  account: Account
  app: App
  source: { name: string; version: number }
  slug: Slug
}

/** What there is when its turn has come, which may be after a restart. Throws UserError for a target that is not to be changed. */
async function look(d: Daemon, promotion: Promotion, target: Target): Promise<Looked> {
  const account = await accountNamed(d.db, promotion.account_id)
  const app = account && (await appsOf(d.db, account).where('apps.id', '=', target.app_id).executeTakeFirst())
  if (!account || !app || !(await permissionsOf(d, app, account)).includes('deploy'))
    throw new UserError('forbidden', 'User does not have access to that app')
  const source = await d.db
    .selectFrom('releases')
    .innerJoin('apps', 'apps.id', 'releases.app_id')
    .select(['apps.name', 'releases.version', 'releases.slug_id'])
    .where('releases.id', '=', promotion.source_release_id)
    .where('apps.destroyed_at', 'is', null)
    .executeTakeFirst()
  if (!source || source.slug_id === null) throw invalid('The app that is promoted was destroyed.')
  const slug = await findSlug(d.db, promotion.source_app_id, source.slug_id)
  const serving = (await listReleases(d.db, app.id)).find(({ current }) => current)
  const has = serving?.slug_id == null ? undefined : await findSlug(d.db, app.id, serving.slug_id)
  if (has?.checksum === slug.checksum)
    throw invalid(`This app has the same code already (v${serving?.version}), so there is nothing to promote.`)
  return { account, app, source, slug }
}

const settle = (d: Daemon, target: Target, end: End): Promise<unknown> =>
  d.db
    .updateTable('pipeline_promotion_targets')
    .set({ ...end, updated_at: d.clock.now() })
    .where('id', '=', target.id)
    .where('status', '=', 'pending')
    .execute()
