import { randomUUID } from 'node:crypto'
import type { Selectable } from 'kysely'
import { type Account, accountNamed } from '../account/account.ts'
import { record } from '../account/activity.ts'
import { TEAM } from '../account/team.ts'
import { appsOf } from '../app/app.ts'
import { permissionsOf } from '../app/permission.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound, UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { type DbOrTx, decide, type Tx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'

/** Apps that share code, in stages (https://devcenter.heroku.com/articles/pipelines). */
export type Pipeline = Selectable<Schema['pipelines']>

/** A user's account, or the team. */
export interface Owner {
  type: string
  id: string
}

/** Makes an empty pipeline of the account, or of another owner that it may give one. Throws UserError for a bad or taken name. */
export async function createPipeline(
  d: Daemon,
  account: Account,
  wanted: { name: string; owner?: Owner | undefined },
): Promise<Pipeline> {
  const now = d.clock.now()
  return decide(d.db, async (tx) => {
    const owner = await parseOwner(tx, wanted.owner ?? { type: 'user', id: account.id })
    if (owner.owner_type === 'user' && owner.owner_id !== account.id && !account.admin)
      throw new UserError('forbidden', 'A pipeline is made for yourself or for the team. Transfer it then.')
    const name = await freeName(tx, wanted.name)
    await requireRoom(tx, owner)
    const pipeline: Pipeline = { id: randomUUID(), name, ...owner, created_at: now, updated_at: now }
    await tx.insertInto('pipelines').values(pipeline).execute()
    await record(tx, account, { app: null, text: `Created pipeline ${name}`, now })
    return pipeline
  })
}

/** By name. Those of the account and of the team, those that it may see an app of, and for the administrator all. */
export async function listPipelines(d: Daemon, account: Account): Promise<Pipeline[]> {
  const all = await d.db.selectFrom('pipelines').selectAll().orderBy('name').execute()
  if (account.admin) return all
  const seen = new Set((await appsIn(d, account)).map(({ pipeline_id }) => pipeline_id))
  return all.filter((one) => owns(one, account) || one.owner_type === 'team' || seen.has(one.id))
}

/** By name or id. Somebody else's is not found, so that names of others are not given away. */
export async function findPipeline(d: Daemon, account: Account, nameOrId: string): Promise<Pipeline> {
  const pipeline = (await listPipelines(d, account)).find(({ id, name }) => id === nameOrId || name === nameOrId)
  if (!pipeline) throw notFound('pipeline', 'pipeline')
  return pipeline
}

export async function renamePipeline(
  d: Daemon,
  pipeline: Pipeline,
  account: Account,
  wanted: string,
): Promise<Pipeline> {
  requireOwner(pipeline, account)
  if (wanted === pipeline.name) return pipeline
  const now = d.clock.now()
  return decide(d.db, async (tx) => {
    const name = await freeName(tx, wanted)
    await change(tx, pipeline, { name, updated_at: now })
    await record(tx, account, { app: null, text: `Renamed pipeline ${pipeline.name} to ${name}`, now })
    return { ...pipeline, name, updated_at: now }
  })
}

/** Another owner has the pipeline from now on; see transfer.ts for its apps. */
export async function passPipeline(
  d: Daemon,
  pipeline: Pipeline,
  account: Account,
  owner: Pick<Pipeline, 'owner_type' | 'owner_id'>,
): Promise<Pipeline> {
  const now = d.clock.now()
  return decide(d.db, async (tx) => {
    await requireRoom(tx, owner)
    await change(tx, pipeline, { ...owner, updated_at: now })
    const text = `Transferred pipeline ${pipeline.name} to the ${owner.owner_type} ${owner.owner_id}`
    await record(tx, account, { app: null, text, now })
    return { ...pipeline, ...owner, updated_at: now }
  })
}

/** The apps stay; their couplings, the pipeline's config vars and its promotions go. */
export async function destroyPipeline(d: Daemon, pipeline: Pipeline, account: Account): Promise<void> {
  requireOwner(pipeline, account)
  await decide(d.db, async (tx) => {
    await tx.deleteFrom('pipelines').where('id', '=', pipeline.id).execute()
    await record(tx, account, { app: null, text: `Destroyed pipeline ${pipeline.name}`, now: d.clock.now() })
  })
}

/** The owner and the administrator may rename, transfer and destroy a pipeline; one of the team its admins, who are administrators. */
export function requireOwner(pipeline: Pipeline, account: Account): void {
  if (!owns(pipeline, account))
    throw new UserError('forbidden', `Only the owner of the pipeline ${pipeline.name} may do this.`)
}

/**
 * Those who may read and change what its apps have in common: its owner, the administrator, and who may deploy to one of its apps
 * (and so reads config vars there, too).
 */
export async function requireMember(d: Daemon, pipeline: Pipeline, account: Account): Promise<void> {
  if (owns(pipeline, account)) return
  for (const app of await appsIn(d, account))
    if (app.pipeline_id === pipeline.id && (await permissionsOf(d, app, account)).includes('deploy')) return
  throw new UserError(
    'forbidden',
    `You do not have access to change the pipeline ${pipeline.name}: that needs the permission deploy on one of its apps.`,
  )
}

const owns = (pipeline: Pipeline, account: Account): boolean =>
  account.admin === 1 || (pipeline.owner_type === 'user' && pipeline.owner_id === account.id)

/** The apps that the account sees and that are in a pipeline. */
export async function appsIn(d: Daemon, account: Account) {
  const couplings = await d.db.selectFrom('pipeline_couplings').select(['app_id', 'pipeline_id']).execute()
  const pipelines = new Map(couplings.map(({ app_id, pipeline_id }) => [app_id, pipeline_id]))
  const apps = await appsOf(d.db, account).orderBy('apps.name').execute()
  return apps.flatMap((app) => {
    const pipeline_id = pipelines.get(app.id)
    return pipeline_id === undefined ? [] : [{ ...app, pipeline_id }]
  })
}

const change = (tx: Tx, { id }: Pipeline, fields: Partial<Pipeline>): Promise<unknown> =>
  tx.updateTable('pipelines').set(fields).where('id', '=', id).execute()

const NAME = /^[a-z][a-z0-9-]{2,29}$/

async function freeName(tx: Tx, name: string): Promise<string> {
  if (!NAME.test(name))
    throw invalid(
      'Name must start with a letter and can only contain lowercase letters, digits, and dashes. It must be 3 to 30 characters long.',
    )
  const taken = await tx.selectFrom('pipelines').select('id').where('name', '=', name).executeTakeFirst()
  if (taken) throw invalid(`Name ${name} is already taken`)
  return name
}

/** Throws UserError for what is no account and not the team. */
export async function parseOwner(db: DbOrTx, { type, id }: Owner): Promise<Pick<Pipeline, 'owner_type' | 'owner_id'>> {
  if (type === 'team' && id === TEAM) return { owner_type: 'team', owner_id: TEAM }
  const user = type === 'user' ? await accountNamed(db, id) : undefined
  if (user) return { owner_type: 'user', owner_id: user.id }
  throw invalid(`There is no ${type.slice(0, 20)} ${id.slice(0, 100)} here, so it cannot own a pipeline.`)
}

async function requireRoom(tx: Tx, { owner_id }: Pick<Pipeline, 'owner_id'>): Promise<void> {
  const has = await tx.selectFrom('pipelines').select('id').where('owner_id', '=', owner_id).execute()
  if (has.length >= limits.pipelinesPerOwner)
    throw invalid(
      `An owner may have ${limits.pipelinesPerOwner} pipelines. Destroy one that is no longer needed first.`,
    )
}
