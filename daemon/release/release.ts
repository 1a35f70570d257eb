import { randomUUID } from 'node:crypto'
import { type Selectable, sql } from 'kysely'
import { type Actor, record } from '../account/activity.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound, UserError } from '../errors.ts'
import { failpoint } from '../failpoint.ts'
import { ensureFormation } from '../run/formation.ts'
import { releaseCreated, runningCommands } from '../run/notice.ts'
import { beginRollout } from '../run/rollout.ts'
import { type DbOrTx, decide, type Tx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import { note } from '../webhook/event.ts'

type Row = Selectable<Schema['releases']>

/** Expired: a later one came to serve before it, or (https://devcenter.heroku.com/changelog-items/3395) its code is no longer kept. */
type Status = 'pending' | 'succeeded' | 'failed' | 'expired'

/** A release with what became of it. The row is immutable; numbers grow and are never used again, whatever becomes of the release. */
export interface Release extends Omit<Row, 'config' | 'code_version' | 'keeps_version'> {
  status: Status
  /** Why it failed, for the user. */
  reason: string | null
  /** It is the release that serves. */
  current: 0 | 1
  /** Its slug has a release command, which runs before it may serve. */
  phase: 0 | 1
  /** Its slug is images (container stack), not files. */
  images: 0 | 1
  /** Its slug was deleted, so nothing can be rolled back to it. */
  gone: 0 | 1
  updated_at: number
}

export interface NewRelease {
  app: string
  account: Actor
  description: string
  /** Left out: those of the newest release that has not failed. */
  slugId?: string | null
  /** A part of that is the code of the newest release that has not failed: it falls with it. */
  keeps?: boolean
  config?: Record<string, string>
  /** Somebody waits for it and is told that it failed should the daemon die (a push). */
  attended?: boolean
}

/**
 * Makes the next release of an app as part of the caller's decision; poke the runner after the commit. The base is the newest
 * release that has not failed: what a failed release brought does not leak into the next.
 */
export async function createRelease(d: Daemon, tx: Tx, wanted: NewRelease): Promise<Release> {
  const now = d.clock.now()
  await requireLive(tx, wanted.app)
  const base = await newestNotFailed(tx, wanted.app)
  const slug_id = wanted.slugId === undefined ? (base?.slug_id ?? null) : wanted.slugId
  const config = wanted.config ?? (base ? openConfig(d, base) : {})
  const id = randomUUID()
  const version = (await newestVersion(tx, wanted.app)) + 1
  const code = base ? (base.code_version ?? base.version) : version
  const row: Row = {
    id,
    app_id: wanted.app,
    version,
    description: wanted.description,
    slug_id,
    code_version: wanted.slugId === undefined ? code : version,
    keeps_version: wanted.keeps && base ? code : null,
    config: d.seal.seal(JSON.stringify(config), id),
    account_id: wanted.account.id,
    created_at: now,
  }
  await tx.insertInto('releases').values(row).execute()
  await record(tx, wanted.account, { app: wanted.app, text: `${wanted.description} (v${row.version})`, now })
  const settled = slug_id === null
  await beginRollout(tx, row, { attended: wanted.attended ?? false, settled })
  const slug = slug_id === null ? undefined : await slugNamed(tx, slug_id)
  if (slug && slug.deleted_at !== null) throw gone()
  const types = slug ? Object.keys(JSON.parse(slug.process_types)) : []
  await ensureFormation(tx, wanted.app, types, now)
  const { config: _sealed, code_version: _code, keeps_version: _kept, ...rest } = row
  const what = {
    phase: types.includes('release') ? 1 : 0,
    images: slug && slug.images !== null ? 1 : 0,
    gone: 0,
  } as const
  const made: Release = settled
    ? { ...rest, status: 'succeeded', reason: null, current: 1, ...what, updated_at: now }
    : { ...rest, status: 'pending', reason: null, current: 0, ...what, updated_at: now }
  const news = { app: wanted.app, account: wanted.account, include: 'api:release', action: 'create' } as const
  await note(tx, { ...news, subject: made, now })
  return made
}

/** An app may be destroyed while something is built or decided for it. */
async function requireLive(tx: Tx, app: string): Promise<void> {
  const live = tx.selectFrom('apps').select('id').where('id', '=', app).where('destroyed_at', 'is', null)
  if (!(await live.executeTakeFirst())) throw notFound('app', 'app')
}

/** The releases of an app, as a query: a part of them can be read without the others, and their config stays where it is. */
export const releasesOf = (db: DbOrTx, app: string) =>
  db
    .selectFrom('releases')
    .innerJoin('rollouts', 'rollouts.release_id', 'releases.id')
    .leftJoin('slugs', 'slugs.id', 'releases.slug_id')
    .select(['releases.id', 'releases.app_id', 'releases.version', 'releases.description', 'releases.slug_id'])
    .select(['releases.account_id', 'releases.created_at', 'rollouts.updated_at', 'rollouts.reason'])
    .select([
      sql<Status>`case when rollouts.superseded_by is not null or (rollouts.state = 'succeeded' and slugs.deleted_at is not null) then 'expired'
        when rollouts.state in ('succeeded', 'failed') then rollouts.state else 'pending' end`.as('status'),
      sql<0 | 1>`json_type(slugs.process_types, '$.release') is not null`.as('phase'),
      sql<0 | 1>`slugs.images is not null`.as('images'),
      sql<0 | 1>`slugs.deleted_at is not null`.as('gone'),
    ])
    .select((select) => select('releases.version', '=', newestSucceeded(db, app)).$castTo<0 | 1>().as('current'))
    .where('releases.app_id', '=', app)

const newestSucceeded = (db: DbOrTx, app: string) =>
  db
    .selectFrom('rollouts as newest')
    .select((select) => select.fn.max('newest.version').as('version'))
    .where('newest.app_id', '=', app)
    .where('newest.state', '=', 'succeeded')

/** Newest first. */
export const listReleases = (db: DbOrTx, app: string): Promise<Release[]> =>
  releasesOf(db, app).orderBy('releases.version', 'desc').execute()

/** By id, or by version with or without `v`. */
export async function findRelease(db: DbOrTx, app: string, idOrVersion: string): Promise<Release> {
  const version = /^v?(\d{1,9})$/.exec(idOrVersion)?.[1]
  const all = releasesOf(db, app)
  const release =
    version === undefined
      ? all.where('releases.id', '=', idOrVersion)
      : all.where('releases.version', '=', Number(version))
  const found = await release.executeTakeFirst()
  if (!found) throw notFound('release', 'release')
  return found
}

/** Makes a new release with code and config of an earlier one. Refuses one that never had code, or never served. */
export async function rollback(d: Daemon, app: { id: string }, account: Actor, idOrVersion: string): Promise<Release> {
  const release = await decide(d.db, async (tx) => {
    const target = await findRelease(tx, app.id, idOrVersion)
    const refuse = (why: string) =>
      invalid(`Cannot roll back to v${target.version}: ${why}. See \`heroku releases\` for others.`)
    if (target.slug_id === null) throw refuse('it has no code')
    if (target.status === 'expired' && target.gone) throw tooOld(target, await rollbackTargets(tx, app.id))
    if (target.status !== 'succeeded') throw refuse(whyNot[target.status])
    return createRelease(d, tx, {
      app: app.id,
      account,
      description: `Rollback to v${target.version}`,
      slugId: target.slug_id,
      config: await configOfRelease(d, target.id, tx),
    })
  })
  await failpoint('rollback.released')
  announceRelease(d, release, account, release.description)
  return release
}

const whyNot: Record<Exclude<Status, 'succeeded'>, string> = {
  failed: 'it failed',
  pending: 'it is still being released',
  expired: 'a later one came to serve before it',
}

/** May be named by who wants to roll back: newest first, without the one that serves. */
const rollbackTargets = async (tx: Tx, app: string): Promise<number[]> => {
  const all = releasesOf(tx, app).where('rollouts.state', '=', 'succeeded').where('slugs.deleted_at', 'is', null)
  const releases = await all.where('slugs.id', 'is not', null).orderBy('releases.version', 'desc').limit(TOLD).execute()
  return releases.filter(({ current }) => !current).map(({ version }) => version)
}

/** As many as a person looks through. */
const TOLD = 21

function tooOld({ version }: Release, targets: number[]): UserError {
  const others = targets.length === 0 ? 'none' : targets.map((target) => `v${target}`).join(', ')
  return invalid(
    `Cannot roll back to v${version}: its slug is no longer kept. Releases that can be rolled back to: ${others}. Or push its code again.`,
  )
}

/** A slug may be deleted between being found and being released. */
const gone = () =>
  new UserError('gone', 'This slug is no longer kept, so it cannot be released. Deploy its code again.')

/** How a release is described that brings new code. */
export const deployed = (version: string | null): string => `Deploy ${version?.slice(0, 8) ?? ''}`.trim()

/**
 * Makes a release of a slug that the app has, with the config vars of the newest release that has not failed; a retry with those of what it
 * retries. Throws UserError when it has not been sent.
 */
export async function releaseSlug(
  d: Daemon,
  app: { id: string },
  account: Actor,
  wanted: { slug: string; description: string | null },
): Promise<Release> {
  const release = await decide(d.db, async (tx) => {
    const slug = await tx
      .selectFrom('slugs')
      .select(['id', 'archive', 'commit'])
      .where('app_id', '=', app.id)
      .where('id', '=', wanted.slug)
      .where('images', 'is', null)
      .executeTakeFirst()
    if (!slug) throw notFound('slug', 'slug')
    if (slug.archive === 'awaited')
      throw invalid('The archive of this slug has not been sent yet. Send it with PUT to its blob.url.')
    const description = wanted.description ?? deployed(slug.commit)
    const config = await retriedConfig(d, tx, { app: app.id, slug: slug.id, description })
    return createRelease(d, tx, { app: app.id, account, description, slugId: slug.id, ...(config && { config }) })
  })
  announceRelease(d, release, account, release.description)
  return release
}

/**
 * Those of the newest release, when it is that which is retried: what was set with a release command that failed is set by the retry.
 * `heroku releases:retry` asks for a release of the same slug, and says in the description alone what it means.
 */
async function retriedConfig(
  d: Daemon,
  tx: Tx,
  { app, slug, description }: { app: string; slug: string; description: string },
): Promise<Record<string, string> | undefined> {
  const newest = await tx
    .selectFrom('releases')
    .select(['id', 'version', 'config'])
    .where('app_id', '=', app)
    .where('version', '=', await newestVersion(tx, app))
    .where('slug_id', '=', slug)
    .executeTakeFirst()
  return newest && description.startsWith(`Retry of v${newest.version}: `) ? openConfig(d, newest) : undefined
}

/**
 * Pokes the runner and writes the lines that Heroku writes: what was done, then the release that it made. One with a release command is
 * told as created when that has succeeded (run/steps.ts).
 */
export function announceRelease(d: Daemon, release: Release, account: { email: string }, what: string): void {
  const line = { at: d.clock.now(), source: 'app', dyno: 'api' } as const
  d.logs.write(release.app_id, { ...line, text: `${what} by user ${account.email}` })
  const say = release.phase ? runningCommands : releaseCreated
  d.logs.write(release.app_id, { ...line, text: say(release.version, account.email) })
  d.runner.poke(release.app_id)
}

/** The config vars of one release. */
export async function configOfRelease(d: Daemon, id: string, db: DbOrTx = d.db): Promise<Record<string, string>> {
  return openConfig(
    d,
    await db.selectFrom('releases').select(['id', 'config']).where('id', '=', id).executeTakeFirstOrThrow(),
  )
}

export const openConfig = (d: Daemon, release: { id: string; config: string }): Record<string, string> =>
  JSON.parse(d.seal.open(release.config, release.id))

/** What the next release builds on. */
export const newestNotFailed = (db: DbOrTx, app: string): Promise<Row | undefined> =>
  db
    .selectFrom('releases')
    .selectAll()
    .where('id', '=', (sub) =>
      sub
        .selectFrom('rollouts')
        .select('release_id')
        .where('app_id', '=', app)
        .where('state', '!=', 'failed')
        .orderBy('version', 'desc')
        .limit(1),
    )
    .executeTakeFirst()

/** What may need a release however old it is: rows with its id. A test compares this with the foreign keys that there are. */
export const needers = ['builds', 'dynos'] as const

/**
 * Deletes some of an app's releases, with their output, that are older than its newest `kept`; how many. Kept are the one that serves,
 * the base of the next one, those on their way, and those that something needs. Their numbers are not used again.
 */
export async function forgetReleases(d: Daemon, app: string, kept: number, most: number): Promise<number> {
  const serving = await newestSucceeded(d.db, app).executeTakeFirst()
  const base = await newestNotFailed(d.db, app)
  const oldest = (await newestVersion(d.db, app)) - kept
  if (oldest < 1) return 0
  let query = d.db
    .selectFrom('releases')
    .innerJoin('rollouts', 'rollouts.release_id', 'releases.id')
    .select('releases.id')
    .where('releases.app_id', '=', app)
    .where('releases.version', '<=', oldest)
    .where('releases.version', 'not in', [serving?.version ?? 0, base?.version ?? 0])
    .where('rollouts.state', 'in', ['succeeded', 'failed'])
    .orderBy('releases.version')
    .limit(most)
  for (const table of needers)
    query = query.where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom(table).select('id').whereRef('release_id', '=', 'releases.id'))),
    )
  const old = (await query.execute()).map(({ id }) => id)
  for (const id of old) await d.transcripts.remove(`release-${id}`)
  if (old.length === 0) return 0
  const { numDeletedRows } = await d.db.deleteFrom('releases').where('id', 'in', old).executeTakeFirst()
  return Number(numDeletedRows)
}

async function newestVersion(tx: DbOrTx, app: string): Promise<number> {
  const row = await tx
    .selectFrom('releases')
    .select((select) => select.fn.max('version').as('version'))
    .where('app_id', '=', app)
    .executeTakeFirst()
  return row?.version ?? 0
}

const slugNamed = (tx: Tx, slug: string) =>
  tx
    .selectFrom('slugs')
    .select(['process_types', 'images', 'deleted_at'])
    .where('id', '=', slug)
    .executeTakeFirstOrThrow()
