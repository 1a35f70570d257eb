import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Selectable } from 'kysely'
import type { Config } from '../config.ts'
import type { Daemon } from '../daemon.ts'
import { notFound, UserError } from '../errors.ts'
import { type DbOrTx, decide, type Tx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import { recoverSlugs } from './slug.ts'

/**
 * One attempt to make a slug of a source.
 *
 *   (startBuild) --> pending -- release committed (succeedBuild) --> succeeded
 *                       +------ anything else (failBuild, or failInterrupted at the next start) --> failed
 *
 * pending: the only one of its app (a unique index); container and folder may exist. succeeded: has a slug and a release, whatever
 * becomes of that release. failed: has a sentence why. Both are final, and set before the transcript ends.
 */
export type Build = Selectable<Schema['builds']>

export interface Attempt {
  app: { id: string; name: string; stack: string }
  account: { id: string }
  version: string
}

/** Builds that this process works on. A pending row of no such build is of one whose end could not be written, as on a full disk. */
const running = new Set<string>()

/** Throws a conflict while another build of the app goes on. Whoever starts a build ends it with `endBuild`. */
export async function startBuild(d: Daemon, attempt: Attempt): Promise<Build> {
  const id = randomUUID()
  running.add(id)
  try {
    return await insertBuild(d, id, attempt)
  } catch (error) {
    endBuild(id)
    throw error
  }
}

/** Nobody works on the build any more, whatever its row says. */
export const endBuild = (build: string): void => void running.delete(build)

function insertBuild(d: Daemon, id: string, { app, account, version }: Attempt): Promise<Build> {
  const now = d.clock.now()
  return decide(d.db, async (tx) => {
    const pending = await builds(tx, app.id).where('status', '=', 'pending').executeTakeFirst()
    if (pending && running.has(pending.id)) throw busy(app.name)
    if (pending)
      await tx.updateTable('builds').set({ status: 'failed', updated_at: now }).where('id', '=', pending.id).execute()
    const build: Build = {
      id,
      app_id: app.id,
      account_id: account.id,
      status: 'pending',
      version,
      stack: app.stack,
      buildpacks: '[]',
      slug_id: null,
      release_id: null,
      failure: null,
      created_at: now,
      updated_at: now,
    }
    await tx.insertInto('builds').values(build).execute()
    return build
  })
}

const busy = (app: string) =>
  new UserError('conflict', `Another build of ${app} is in progress. Push again when it has ended.`)

export const succeedBuild = (
  d: Daemon,
  tx: Tx,
  build: string,
  made: { slug_id: string; release_id: string; buildpacks: { url: string; name: string }[] },
): Promise<unknown> =>
  tx
    .updateTable('builds')
    .set({ ...made, buildpacks: JSON.stringify(made.buildpacks), status: 'succeeded', updated_at: d.clock.now() })
    .where('id', '=', build)
    .where('status', '=', 'pending')
    .execute()

/** Returns whether it had not ended before. */
export async function failBuild(d: Daemon, build: string, failure: string): Promise<boolean> {
  const { numUpdatedRows } = await d.db
    .updateTable('builds')
    .set({ status: 'failed', failure, updated_at: d.clock.now() })
    .where('id', '=', build)
    .where('status', '=', 'pending')
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

/** Newest first. */
export const listBuilds = (db: DbOrTx, app: string): Promise<Build[]> =>
  builds(db, app).orderBy('created_at', 'desc').execute()

export async function findBuild(db: DbOrTx, app: string, id: string): Promise<Build> {
  const build = await builds(db, app).where('id', '=', id).executeTakeFirst()
  if (!build) throw notFound('build', 'build')
  return build
}

/** At start: nobody works on the builds that are still pending, so they have failed, and what they left is removed. */
export async function failInterrupted(d: Daemon): Promise<void> {
  await d.db
    .updateTable('builds')
    .set({
      status: 'failed',
      failure: 'The platform was restarted during the build. Push again.',
      updated_at: d.clock.now(),
    })
    .where('status', '=', 'pending')
    .execute()
  await d.engine.sweepBuilds()
  await rm(join(d.config.data, 'builds'), { recursive: true, force: true })
  await recoverSlugs(d)
}

/** Where a build works; gone when it has ended. */
export const buildFolder = (config: Pick<Config, 'data'>, build: string): string => join(config.data, 'builds', build)

const builds = (db: DbOrTx, app: string) => db.selectFrom('builds').selectAll().where('app_id', '=', app)
