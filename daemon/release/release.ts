import { randomUUID } from 'node:crypto'
import type { Selectable } from 'kysely'
import { type Actor, record } from '../account/activity.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound } from '../errors.ts'
import { ensureFormation } from '../run/formation.ts'
import { releaseCreated, runningCommands } from '../run/notice.ts'
import { beginRollout } from '../run/rollout.ts'
import { type DbOrTx, decide, type Tx } from '../store/database.ts'
import type { RolloutState, Schema } from '../store/schema.ts'

type Row = Selectable<Schema['releases']>

/** A release with what became of it. The row is immutable; numbers grow and are never used again, whatever becomes of the release. */
export interface Release extends Omit<Row, 'config'> {
  status: 'pending' | 'succeeded' | 'failed'
  /** Why it failed, for the user. */
  reason: string | null
  /** True for the release that serves. */
  current: boolean
  updated_at: number
}

/** A release that was just made. */
export interface Made extends Release {
  /** Its release command runs before it may serve. */
  phase: boolean
}

export interface NewRelease {
  app: string
  account: Actor
  description: string
  /** Left out: those of the newest release that has not failed. */
  slugId?: string | null
  config?: Record<string, string>
  /** Somebody waits for it and is told that it failed should the daemon die (a push). */
  attended?: boolean
}

/**
 * Makes the next release of an app as part of the caller's decision; poke the runner after the commit. The base is the newest
 * release that has not failed: what a failed release brought does not leak into the next.
 */
export async function createRelease(d: Daemon, tx: Tx, wanted: NewRelease): Promise<Made> {
  const now = d.clock.now()
  await requireLive(tx, wanted.app)
  const base = await newestNotFailed(tx, wanted.app)
  const slug_id = wanted.slugId === undefined ? (base?.slug_id ?? null) : wanted.slugId
  const config = wanted.config ?? (base ? openConfig(d, base) : {})
  const id = randomUUID()
  const row: Row = {
    id,
    app_id: wanted.app,
    version: (await newestVersion(tx, wanted.app)) + 1,
    description: wanted.description,
    slug_id,
    config: d.seal.seal(JSON.stringify(config), id),
    account_id: wanted.account.id,
    created_at: now,
  }
  await tx.insertInto('releases').values(row).execute()
  await record(tx, wanted.account, { app: wanted.app, text: `${wanted.description} (v${row.version})`, now })
  const settled = slug_id === null
  await beginRollout(tx, row, { attended: wanted.attended ?? false, settled })
  const types = slug_id === null ? [] : Object.keys(await processTypes(tx, slug_id))
  await ensureFormation(tx, wanted.app, types, now)
  const status = settled ? 'succeeded' : 'pending'
  return { ...row, status, reason: null, current: settled, updated_at: now, phase: types.includes('release') }
}

/** An app may be destroyed while something is built or decided for it. */
async function requireLive(tx: Tx, app: string): Promise<void> {
  const live = tx.selectFrom('apps').select('id').where('id', '=', app).where('destroyed_at', 'is', null)
  if (!(await live.executeTakeFirst())) throw notFound('app', 'app')
}

/** Newest first. */
export async function listReleases(db: DbOrTx, app: string): Promise<Release[]> {
  const rows = await db
    .selectFrom('releases')
    .innerJoin('rollouts', 'rollouts.release_id', 'releases.id')
    .selectAll('releases')
    .select(['rollouts.state', 'rollouts.reason', 'rollouts.updated_at'])
    .where('releases.app_id', '=', app)
    .orderBy('releases.version', 'desc')
    .execute()
  const current = rows.find(({ state }) => state === 'succeeded')?.version
  return rows.map(({ state, config: _sealed, ...row }) => ({
    ...row,
    status: statusOf(state),
    current: row.version === current,
  }))
}

/** By id, or by version with or without `v`. */
export async function findRelease(db: DbOrTx, app: string, idOrVersion: string): Promise<Release> {
  const version = /^v?(\d{1,9})$/.exec(idOrVersion)?.[1]
  const release = (await listReleases(db, app)).find((release) =>
    version === undefined ? release.id === idOrVersion : release.version === Number(version),
  )
  if (!release) throw notFound('release', 'release')
  return release
}

/** Makes a new release with code and config of an earlier one. Refuses one that never had code, or never served. */
export async function rollback(d: Daemon, app: { id: string }, account: Actor, idOrVersion: string): Promise<Release> {
  const release = await decide(d.db, async (tx) => {
    const target = await findRelease(tx, app.id, idOrVersion)
    const refuse = (why: string) =>
      invalid(`Cannot roll back to v${target.version}: ${why}. See \`heroku releases\` for others.`)
    if (target.slug_id === null) throw refuse('it has no code')
    if (target.status !== 'succeeded')
      throw refuse(target.status === 'failed' ? 'it failed' : 'it is still being released')
    return createRelease(d, tx, {
      app: app.id,
      account,
      description: `Rollback to v${target.version}`,
      slugId: target.slug_id,
      config: await configOfRelease(d, target.id, tx),
    })
  })
  announceRelease(d, release, account, release.description)
  return release
}

/**
 * Pokes the runner and writes the lines that Heroku writes: what was done, then the release that it made. One with a release command is
 * told as created when that has succeeded (run/steps.ts).
 */
export function announceRelease(d: Daemon, release: Made, account: { email: string }, what: string): void {
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
    .innerJoin('rollouts', 'rollouts.release_id', 'releases.id')
    .selectAll('releases')
    .where('releases.app_id', '=', app)
    .where('rollouts.state', '!=', 'failed')
    .orderBy('releases.version', 'desc')
    .limit(1)
    .executeTakeFirst()

async function newestVersion(tx: Tx, app: string): Promise<number> {
  const row = await tx
    .selectFrom('releases')
    .select((select) => select.fn.max('version').as('version'))
    .where('app_id', '=', app)
    .executeTakeFirst()
  return row?.version ?? 0
}

async function processTypes(tx: Tx, slug: string): Promise<Record<string, string>> {
  const row = await tx.selectFrom('slugs').select('process_types').where('id', '=', slug).executeTakeFirstOrThrow()
  return JSON.parse(row.process_types)
}

const statusOf = (state: RolloutState): Release['status'] =>
  state === 'succeeded' || state === 'failed' ? state : 'pending'
