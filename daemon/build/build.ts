import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { Selectable } from 'kysely'
import { type Actor, enact, record } from '../account/activity.ts'
import type { Config } from '../config.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound, UserError } from '../errors.ts'
import { failpoint } from '../failpoint.ts'
import { removeTree } from '../remove.ts'
import { type DbOrTx, decide, type Tx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import { note } from '../webhook/event.ts'
import { recoverSlugs } from './slug/slug.ts'

/**
 * One attempt to make a slug of a source.
 *
 *   (startBuild) --> pending -- release committed (succeedBuild) --> succeeded
 *                       +------ anything else (failBuild, or failInterrupted at the next start), cancelBuild --> failed
 *
 * pending: the only one of its app (a unique index); container and folder may exist. succeeded: has a slug and a release, whatever
 * becomes of that release. failed: has a sentence why. Both are final, and set before the transcript ends.
 */
export type Build = Selectable<Schema['builds']>

export interface Attempt {
  app: { id: string; name: string; stack: string }
  account: Actor
  version: string | null
  /** What the client says of its source, when it named one. */
  blob?: { url: string; checksum: string | null; description: string | null } | undefined
}

/** A buildpack as a build had it; those of old builds have no revision. */
export interface Recorded {
  url: string
  name: string
  revision?: string
}

/** Builds that this process works on. A pending row of no such build is of one whose end could not be written, as on a full disk. */
const running = new Map<string, { app: string; cancel: AbortController; ended: Promise<void>; end(): void }>()

/**
 * Throws a conflict while another build of the app goes on. `canceled` aborts when somebody cancels it, with a UserError that says so.
 * Whoever starts a build ends it with `endBuild`.
 */
export async function startBuild(d: Daemon, attempt: Attempt): Promise<{ build: Build; canceled: AbortSignal }> {
  const id = randomUUID()
  const cancel = new AbortController()
  let end = () => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  running.set(id, { app: attempt.app.id, cancel, ended, end })
  try {
    return { build: await insertBuild(d, id, attempt), canceled: cancel.signal }
  } catch (error) {
    endBuild(id)
    throw error
  }
}

/** Nobody works on the build any more, whatever its row says. */
export function endBuild(build: string): void {
  running.get(build)?.end()
  running.delete(build)
}

/** Ends a build that goes on, and waits for its end; what it had released by then is given up unless it serves already. */
export async function cancelBuild(d: Daemon, app: { id: string }, account: Actor, id: string): Promise<Build> {
  const build = await findBuild(d.db, app.id, id)
  const work = running.get(id)
  if (build.status !== 'pending' || !work)
    throw invalid(`Build ${id} cannot be canceled: it has ${build.status === 'succeeded' ? 'succeeded' : 'failed'}.`)
  await enact(d, { app, by: account, text: `Canceled build ${id}` }, async () => {})
  work.cancel.abort(new UserError('conflict', `The build was canceled by ${account.email}.`))
  await work.ended
  return findBuild(d.db, app.id, id)
}

/** For an app that is being destroyed: resolves when its build, if one goes on, has ended. */
export async function endBuildOf(app: string): Promise<void> {
  const work = [...running.values()].find((one) => one.app === app)
  work?.cancel.abort(new UserError('gone', 'The app was destroyed.'))
  await work?.ended
}

/** Where the source of a build came from, as the client named it; undefined for a push. */
export const sourceUrl = (d: Daemon, build: Build): string | undefined =>
  build.source_url === null ? undefined : d.seal.open(build.source_url, build.id)

/** While nothing is built for the app: `work` is part of the decision, so that no build starts meanwhile. Throws a conflict otherwise. */
export const betweenBuilds = <T>(d: Daemon, app: { id: string; name: string }, work: (tx: Tx) => Promise<T>) =>
  decide(d.db, async (tx) => {
    const pending = await buildsOf(tx, app.id).where('status', '=', 'pending').executeTakeFirst()
    if (pending && running.has(pending.id)) throw busy(app.name)
    return work(tx)
  })

function insertBuild(d: Daemon, id: string, { app, account, version, blob }: Attempt): Promise<Build> {
  const now = d.clock.now()
  return decide(d.db, async (tx) => {
    const live = tx.selectFrom('apps').select('id').where('id', '=', app.id).where('destroyed_at', 'is', null)
    if (!(await live.executeTakeFirst())) throw notFound('app', 'app')
    const pending = await buildsOf(tx, app.id).where('status', '=', 'pending').executeTakeFirst()
    if (pending && running.has(pending.id)) throw busy(app.name)
    if (pending) {
      await tx.updateTable('builds').set({ status: 'failed', updated_at: now }).where('id', '=', pending.id).execute()
      await noteEnded(tx, pending.id, now)
    }
    const build: Build = {
      id,
      app_id: app.id,
      account_id: account.id,
      status: 'pending',
      version,
      version_description: blob?.description ?? null,
      source_url: blob ? d.seal.seal(blob.url, id) : null,
      source_checksum: blob?.checksum ?? null,
      stack: app.stack,
      buildpacks: '[]',
      slug_id: null,
      release_id: null,
      failure: null,
      created_at: now,
      updated_at: now,
    }
    await tx.insertInto('builds').values(build).execute()
    await record(tx, account, { app: app.id, text: `Started build ${id}`, now })
    await note(tx, { app: app.id, account, include: 'api:build', action: 'create', subject: build, now })
    return build
  })
}

const busy = (app: string) =>
  new UserError('conflict', `Another build of ${app} is in progress. Push again when it has ended.`)

export async function succeedBuild(
  d: Daemon,
  tx: Tx,
  build: string,
  made: { slug_id: string; release_id: string; buildpacks: Recorded[] },
): Promise<void> {
  const now = d.clock.now()
  await tx
    .updateTable('builds')
    .set({ ...made, buildpacks: JSON.stringify(made.buildpacks), status: 'succeeded', updated_at: now })
    .where('id', '=', build)
    .where('status', '=', 'pending')
    .execute()
  await noteEnded(tx, build, now)
}

/** Returns whether it had not ended before. */
export const failBuild = (d: Daemon, build: string, failure: string): Promise<boolean> =>
  decide(d.db, async (tx) => {
    const now = d.clock.now()
    const { numUpdatedRows } = await tx
      .updateTable('builds')
      .set({ status: 'failed', failure, updated_at: now })
      .where('id', '=', build)
      .where('status', '=', 'pending')
      .executeTakeFirst()
    if (numUpdatedRows > 0n) await noteEnded(tx, build, now)
    return numUpdatedRows > 0n
  })

async function noteEnded(tx: Tx, id: string, now: number): Promise<void> {
  const build = await tx.selectFrom('builds').selectAll().where('id', '=', id).executeTakeFirst()
  if (!build) return
  const previous: Build = { ...build, status: 'pending', buildpacks: '[]', slug_id: null, release_id: null }
  const news = { app: build.app_id, account: { id: build.account_id }, include: 'api:build', action: 'update' } as const
  await note(tx, { ...news, subject: build, previous, now })
}

/** Newest first. */
export const listBuilds = (db: DbOrTx, app: string): Promise<Build[]> =>
  buildsOf(db, app).orderBy('created_at', 'desc').execute()

export async function findBuild(db: DbOrTx, app: string, id: string): Promise<Build> {
  const build = await buildsOf(db, app).where('id', '=', id).executeTakeFirst()
  if (!build) throw notFound('build', 'build')
  return build
}

/** Deletes some of an app's ended builds, with their output, that have `kept` newer ones; how many. */
export async function forgetBuilds(d: Daemon, app: string, kept: number, most: number): Promise<number> {
  const old = await buildsOf(d.db, app)
    .clearSelect()
    .select('id')
    .where('status', '!=', 'pending')
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .offset(kept)
    .limit(most)
    .execute()
  // Files first: what a crash leaves is a row without output, which the next look deletes.
  for (const { id } of old) await d.transcripts.remove(`build-${id}`)
  if (old.length === 0) return 0
  await failpoint('builds.forgotten')
  const ids = old.map(({ id }) => id)
  const { numDeletedRows } = await d.db.deleteFrom('builds').where('id', 'in', ids).executeTakeFirst()
  return Number(numDeletedRows)
}

/** At start: nobody works on the builds that are still pending, so they have failed, and what they left is removed. */
export async function failInterrupted(d: Daemon): Promise<void> {
  for (const { id } of await d.db.selectFrom('builds').select('id').where('status', '=', 'pending').execute())
    await failBuild(d, id, 'The platform was restarted during the build. Push again.')
  await failpoint('builds.failed')
  await d.engine.sweepBuilds()
  await removeTree(join(d.config.data, 'builds'))
  await recoverSlugs(d)
}

/** Where a build works; gone when it has ended. */
export const buildFolder = (config: Pick<Config, 'data'>, build: string): string => join(config.data, 'builds', build)

/** As a query, so that a part of them can be read. */
export const buildsOf = (db: DbOrTx, app: string) => db.selectFrom('builds').selectAll().where('app_id', '=', app)
