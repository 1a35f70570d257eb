import { randomUUID } from 'node:crypto'
import type { Selectable } from 'kysely'
import type { Account } from '../account/account.ts'
import { enact } from '../account/activity.ts'
import { type App, appsJoinedBy, appsOf, findApp } from '../app/app.ts'
import { requirePermission } from '../app/permission.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound } from '../errors.ts'
import type { DbOrTx, Tx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import type { Stage } from '../store/schema-pipeline.ts'
import { type Pipeline, requireMember } from './pipeline.ts'

type Row = Selectable<Schema['pipeline_couplings']>

/** An app's place in a pipeline. It goes with the app, and with the pipeline. */
export interface Coupling extends Row {
  app: string
  pipeline: string
  /** Of the pipeline. */
  owner: string
}

/** In the order in which code goes through them. */
export const stages = ['test', 'review', 'development', 'staging', 'production'] as const satisfies readonly Stage[]

export function parseStage(name: string): Stage {
  const stage = stages.find((one) => one === name)
  if (!stage) throw invalid(`There is no stage ${name.slice(0, 50)}. Choose one of: ${stages.join(', ')}.`)
  return stage
}

/**
 * Puts an app into a pipeline. Throws UserError when it is in one already: it has one stage and one way to go. Who adds an app becomes a
 * member of the pipeline by it, so only members may, and everybody to one of the team that is still empty.
 */
export async function couple(
  d: Daemon,
  account: Account,
  wanted: { app: App; pipeline: Pipeline; stage: string },
): Promise<Coupling> {
  const { app, pipeline } = wanted
  const stage = parseStage(wanted.stage)
  await requirePermission(d, app, account, 'manage')
  if (pipeline.owner_type !== 'team' || !(await isEmpty(d.db, pipeline))) await requireMember(d, pipeline, account)
  const text = `Added to the pipeline ${pipeline.name} as ${stage}`
  const row = await enact(d, { app, by: account, text }, async (tx) => {
    const [has] = await couplings(tx).where('app_id', '=', app.id).execute()
    if (has) throw invalid(`${app.name} is already in the pipeline ${has.pipeline}. Remove it from there first.`)
    return insertCoupling(tx, { app, pipeline, stage, now: d.clock.now() })
  })
  return { ...row, app: app.name, pipeline: pipeline.name, owner: pipeline.owner_id }
}

/** It has neither apps nor secrets. */
async function isEmpty(db: DbOrTx, { id }: Pipeline): Promise<boolean> {
  for (const table of ['pipeline_couplings', 'pipeline_config_vars'] as const)
    if (await db.selectFrom(table).select('stage').where('pipeline_id', '=', id).executeTakeFirst()) return false
  return true
}

/** Part of making an app for a pipeline. */
export async function insertCoupling(
  tx: Tx,
  { app, pipeline, stage, now }: { app: App; pipeline: Pipeline; stage: Stage; now: number },
): Promise<Row> {
  const there = await tx.selectFrom('pipelines').select('id').where('id', '=', pipeline.id).executeTakeFirst()
  if (!there) throw notFound('pipeline', 'pipeline')
  const row = { id: randomUUID(), app_id: app.id, pipeline_id: pipeline.id, stage, created_at: now, updated_at: now }
  await tx.insertInto('pipeline_couplings').values(row).execute()
  return row
}

/** Those of the apps that the account may see, by the app's name. With `of`, only those of apps which that account owns or was added to. */
export async function listCouplings(
  db: DbOrTx,
  account: Account,
  { of, pipeline }: { of?: Account; pipeline?: string } = {},
): Promise<Coupling[]> {
  const apps = await (of ? appsJoinedBy(db, account, of) : appsOf(db, account)).execute()
  const seen = new Set(apps.map(({ id }) => id))
  const all = await couplings(db).execute()
  return all.filter(
    ({ app_id, pipeline_id }) => seen.has(app_id) && (pipeline === undefined || pipeline_id === pipeline),
  )
}

/** Throws Heroku's 404 when the app is in no pipeline. */
export async function couplingOf(db: DbOrTx, app: { id: string }): Promise<Coupling> {
  const [coupling] = await couplings(db).where('app_id', '=', app.id).execute()
  if (!coupling) throw notFound('pipeline coupling', 'pipeline_coupling')
  return coupling
}

/** By id, if the account may see the app. */
export async function findCoupling(d: Daemon, account: Account, id: string): Promise<Coupling> {
  const coupling = (await listCouplings(d.db, account)).find((one) => one.id === id)
  if (!coupling) throw notFound('pipeline coupling', 'pipeline_coupling')
  return coupling
}

export async function moveCoupling(d: Daemon, account: Account, coupling: Coupling, to: string): Promise<Coupling> {
  const stage = parseStage(to)
  const app = await manageable(d, account, coupling)
  if (stage === coupling.stage) return coupling
  const changed = { stage, updated_at: d.clock.now() }
  const text = `Changed from ${coupling.stage} to ${stage} in the pipeline ${coupling.pipeline}`
  await enact(d, { app, by: account, text }, (tx) =>
    tx.updateTable('pipeline_couplings').set(changed).where('id', '=', coupling.id).execute(),
  )
  return { ...coupling, ...changed }
}

/** Takes the app out of its pipeline; nothing else of it changes. */
export async function uncouple(d: Daemon, account: Account, coupling: Coupling): Promise<void> {
  const app = await manageable(d, account, coupling)
  await enact(d, { app, by: account, text: `Removed from the pipeline ${coupling.pipeline}` }, (tx) =>
    tx.deleteFrom('pipeline_couplings').where('id', '=', coupling.id).execute(),
  )
}

async function manageable(d: Daemon, account: Account, coupling: Coupling): Promise<App> {
  const app = await findApp(d.db, account, coupling.app_id)
  await requirePermission(d, app, account, 'manage')
  return app
}

/** Of apps that are not being destroyed. */
const couplings = (db: DbOrTx) =>
  db
    .selectFrom('pipeline_couplings')
    .innerJoin('apps', 'apps.id', 'pipeline_couplings.app_id')
    .innerJoin('pipelines', 'pipelines.id', 'pipeline_couplings.pipeline_id')
    .selectAll('pipeline_couplings')
    .select(['apps.name as app', 'pipelines.name as pipeline', 'pipelines.owner_id as owner'])
    .where('apps.destroyed_at', 'is', null)
    .orderBy('apps.name')
