import { randomUUID } from 'node:crypto'
import type { Selectable } from 'kysely'
import { type Account, accountNamed } from '../account/account.ts'
import { type App, createApp, findApp, updateApp, type Wanted as WantedApp } from '../app/app.ts'
import { replaceInstallations } from '../app/buildpack.ts'
import { isName, parseBuildpack } from '../app/buildpack-name.ts'
import { requirePermission } from '../app/permission.ts'
import { requireKnown } from '../build/buildpack/named.ts'
import { deploy } from '../build/deploy.ts'
import { parseChecksum } from '../build/source/blob.ts'
import { parseUrl } from '../build/source/download.ts'
import { refusePointers } from '../build/source/pointer.ts'
import type { Daemon } from '../daemon.ts'
import { EngineError } from '../engine/engine.ts'
import { invalid, notFound, UserError } from '../errors.ts'
import { changeConfig, checkVar, currentConfig } from '../release/config.ts'
import { listFormation, scale } from '../run/formation.ts'
import type { Db, Tx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import type { SetupState } from '../store/schema-pipeline.ts'
import { configFrom, type Manifest, ManifestError, parseManifest } from './manifest.ts'
import { runScript } from './postdeploy.ts'
import { discardSource, discardSources, type Fetched, fetchSource, type Place } from './source.ts'

/**
 * Making an app that runs of a source and its app.json (https://devcenter.heroku.com/articles/setting-up-apps-using-the-heroku-platform-api).
 *
 *   (createSetup) --> source -- fetched, app.json applied --> build -- its release serves --> postdeploy -- exit 0 --> succeeded
 *                       |  ^                                  |  |  no script                     |                      ^
 *                       |  +---- the daemon died -------------+  +--------------------------------|----------------------+
 *                       +------------------------------> failed <---------------------------------+  (also: the daemon died)
 *
 * source, build: begun anew at the next start; what is set already stays, and a slug that was built is reused. postdeploy: its script may
 * do what must not be done twice, so it is never begun anew. succeeded, failed: final. A failed one leaves its app, with its log and
 * whatever works of it, to be looked at, repaired or destroyed.
 */
export type Setup = Selectable<Schema['app_setups']>

export interface Order {
  place: Place
  /** Of whose part of the app.json counts on top. */
  environment: 'review' | null
  /** An app.json must be there. */
  manifest: boolean
  /** Before those of the app.json. */
  env: Record<string, string>
  /** In place of those of the app.json. */
  buildpacks: string[] | null
  /** The stack was asked for, so that of the app.json does not count. */
  stack: boolean
}

interface Wanted {
  app: WantedApp
  order: Order
  /** Part of the same decision. */
  along?: (tx: Tx, app: App, setup: Setup) => Promise<unknown>
}

/** Makes the app, and begins to set it up. Throws UserError for what no app can be made of. */
export async function createSetup(d: Daemon, account: Account, { app, order, along }: Wanted): Promise<Setup> {
  const { place } = order
  if (place.kind === 'url') parseUrl(place.url)
  if (place.kind === 'url' && place.checksum !== null) parseChecksum(place.checksum)
  for (const [name, value] of Object.entries(order.env)) checkVar(name, value)
  await requireKnown(d, (order.buildpacks ?? []).map(parseBuildpack).filter(isName))
  const id = randomUUID()
  const now = d.clock.now()
  const setup: Omit<Setup, 'app_id'> = {
    ...{ id, account_id: account.id, state: 'source', order: d.seal.seal(JSON.stringify(order), id) },
    ...{ failure_message: null, manifest_errors: '[]', postdeploy_output: null, postdeploy_exit_code: null },
    ...{ success_url: null, created_at: now, updated_at: now },
  }
  const { id: app_id } = await createApp(d, account, app, async (tx, made) => {
    const row = { ...setup, app_id: made.id }
    await tx.insertInto('app_setups').values(row).execute()
    await along?.(tx, made, row)
  })
  begin(d, id)
  return { ...setup, app_id }
}

/** After a restart of the daemon: goes on with those that are under way, or says why not. */
export async function resumeSetups(d: Daemon): Promise<void> {
  await discardSources(d)
  const open = d.db.selectFrom('app_setups').select(['id', 'state']).where('state', 'in', OPEN).orderBy('created_at')
  for (const { id, state } of await open.execute())
    if (state === 'postdeploy') await fail(d, id, invalid(INTERRUPTED))
    else begin(d, id)
}

/** With its app. Throws 404 unless the account may see that. */
export async function findSetup(db: Db, account: Account, id: string): Promise<{ setup: Setup; app: App }> {
  const setup = await setupRow(db, id)
  return { setup, app: await findApp(db, account, setup.app_id) }
}

async function setupRow(db: Db, id: string): Promise<Setup> {
  const setup = await db.selectFrom('app_setups').selectAll().where('id', '=', id).executeTakeFirst()
  if (!setup) throw notFound('app setup', 'app_setup')
  return setup
}

/** The newest build of its app that was begun while it went on; undefined before that. */
export function buildOf(db: Db, { app_id, state, created_at, updated_at }: Setup) {
  const builds = db.selectFrom('builds').select(['id', 'status']).where('app_id', '=', app_id)
  const during = builds.where('created_at', '>=', created_at)
  const until = OPEN.includes(state) ? during : during.where('created_at', '<=', updated_at)
  return until.orderBy('created_at', 'desc').limit(1).executeTakeFirst()
}

const OPEN: SetupState[] = ['source', 'build', 'postdeploy']

const INTERRUPTED =
  'The platform was restarted while the postdeploy script ran, so it may have done a part. Look at the app, and run it again with heroku run.'

const begin = (d: Daemon, id: string): void =>
  d.underway.begin('set-up', id, (signal) => d.underway.inTurn('set-up', () => conduct(d, id, signal), signal))

/** Whatever the app and its app.json may say: the row ends, unless the daemon is stopping. */
async function conduct(d: Daemon, id: string, signal: AbortSignal): Promise<void> {
  try {
    const work = await look(d, id)
    const source = await fetchSource(d, id, work.order.place, signal)
    const manifest = manifestOf(work.order, source)
    if (work.order.buildpacks === null) await requireBuildpacks(d, manifest, signal)
    refusePointers(source.pointers, buildpacksOf(work.order, manifest) ?? [])
    const app = await equip(d, work, manifest)
    await advance(d, id, { state: 'build' })
    await build(d, { ...work, app }, source, signal)
    await form(d, { ...work, app }, manifest)
    await postdeploy(d, { ...work, app }, manifest, signal)
    await advance(d, id, { state: 'succeeded', success_url: manifest.successUrl ?? null })
  } catch (error) {
    if (signal.aborted) return
    await fail(d, id, error)
  } finally {
    await discardSource(d, id).catch((error) => d.log.warn('the source of a set-up is left', { setup: id, error }))
  }
}

interface Work {
  setup: string
  app: App
  account: Account
  order: Order
}

/** The set-up waited for its turn: what it is about may be gone, or no longer be for who asked. */
async function look(d: Daemon, id: string): Promise<Work> {
  const row = await setupRow(d.db, id)
  const account = await accountNamed(d.db, row.account_id)
  const app = await d.db.selectFrom('apps').selectAll().where('id', '=', row.app_id).executeTakeFirst()
  if (!app || app.destroyed_at !== null) throw notFound('app', 'app')
  if (!account) throw notFound('user', 'user')
  await requirePermission(d, app, account, 'deploy')
  return { setup: id, app, account, order: JSON.parse(d.seal.open(row.order, id)) as Order }
}

function manifestOf(order: Order, { manifest }: Fetched): Manifest {
  if (manifest === undefined && order.manifest)
    throw new ManifestError(['There is no app.json at the top of the source.'])
  return parseManifest(manifest ?? '{}', order.environment)
}

async function requireBuildpacks(d: Daemon, { buildpacks = [] }: Manifest, signal: AbortSignal): Promise<void> {
  await requireKnown(d, buildpacks.filter(isName), signal).catch((error) => {
    throw error instanceof UserError ? new ManifestError([error.message]) : error
  })
}

const buildpacksOf = (order: Order, manifest: Manifest) => order.buildpacks ?? manifest.buildpacks

/** What an app has before its first build. */
async function equip(d: Daemon, { app, account, order }: Work, manifest: Manifest): Promise<App> {
  for (const text of manifest.warnings) d.logs.write(app.id, { at: d.clock.now(), source: 'app', dyno: 'api', text })
  const config = configFrom(manifest, { ...order.env, ...(await currentConfig(d, app.id)) })
  await changeConfig(d, app, account, config)
  const buildpacks = buildpacksOf(order, manifest)
  if (buildpacks) await replaceInstallations(d, app, account, buildpacks)
  return manifest.stack === undefined || order.stack ? app : updateApp(d, app, account, { stack: manifest.stack })
}

async function build(d: Daemon, { app, account, order }: Work, source: Fetched, signal: AbortSignal): Promise<void> {
  const { place } = order
  const version = place.kind === 'commit' ? place.commit : (place.version ?? source.key)
  await deploy(d, { app, account, version, sourceKey: source.key, archive: source.open(), output: () => {}, signal })
}

/** As many dynos as the app.json says, of the types that the Procfile has. */
async function form(d: Daemon, { app, account }: Work, manifest: Manifest): Promise<void> {
  const types = new Set((await listFormation(d.db, app.id)).map(({ type }) => type))
  const updates = manifest.formation.filter(({ type }) => types.has(type))
  if (updates.length > 0) await scale(d, app, account, updates)
}

async function postdeploy(
  d: Daemon,
  work: Work,
  { postdeploy: command }: Manifest,
  signal: AbortSignal,
): Promise<void> {
  if (command === undefined) return
  await advance(d, work.setup, { state: 'postdeploy' })
  const { exitCode, output } = await runScript(d, { ...work, command }, signal)
  await advance(d, work.setup, { postdeploy_output: output, postdeploy_exit_code: exitCode })
  if (exitCode !== 0)
    throw invalid(`The postdeploy script exited with status ${exitCode}. See \`heroku logs --app ${work.app.name}\`.`)
}

/** Says why in the row and in the app's log. */
async function fail(d: Daemon, id: string, error: unknown): Promise<void> {
  const told = error instanceof UserError || error instanceof EngineError
  if (!told) d.log.error('a set-up failed', { setup: id, error })
  const failure_message = told ? error.message : 'Something went wrong on the platform. Its log has the cause.'
  const manifest_errors = JSON.stringify(error instanceof ManifestError ? error.errors : [])
  await advance(d, id, { state: 'failed', failure_message, manifest_errors })
  const row = await d.db.selectFrom('app_setups').select('app_id').where('id', '=', id).executeTakeFirst()
  const text = `Set-up failed: ${failure_message}`
  if (row) d.logs.write(row.app_id, { at: d.clock.now(), source: 'app', dyno: 'api', text })
}

const advance = (d: Daemon, id: string, fields: Partial<Setup>): Promise<unknown> =>
  d.db
    .updateTable('app_setups')
    .set({ ...fields, updated_at: d.clock.now() })
    .where('id', '=', id)
    .where('state', 'in', OPEN)
    .execute()
