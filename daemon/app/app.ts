import { randomUUID } from 'node:crypto'
import type { Selectable } from 'kysely'
import { type Account, accountNamed } from '../account/account.ts'
import { type Actor, enact, record, tell } from '../account/activity.ts'
import { TEAM } from '../account/team.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound, UserError } from '../errors.ts'
import { failpoint } from '../failpoint.ts'
import { limits } from '../limits.ts'
import { hostsOf } from '../names.ts'
import { announceRelease, createRelease } from '../release/release.ts'
import { forgetProgress } from '../route/acm-domain.ts'
import { forgetAutomatic } from '../route/sni-endpoint.ts'
import { type DbOrTx, decide, type Tx } from '../store/database.ts'
import { fromReserve } from '../store/reserve.ts'
import type { Schema } from '../store/schema.ts'
import { note } from '../webhook/event.ts'
import { addOwner } from './collaborator.ts'
import { generateName, parseName } from './name.ts'
import { joinedBy, permissionsOf, requirePermission, visibleTo } from './permission.ts'
import { defaultStack, parseStack } from './stack.ts'

export type App = Selectable<Schema['apps']>

export interface Wanted {
  name?: string | undefined
  stack?: string | undefined
  /** The app is the team's, and `locked` for those who were not added to it. */
  team?: { locked: boolean } | undefined
}

/**
 * Makes an app, its owner and its release v1 as one decision, and what `along` adds to it. Throws UserError for a bad or taken name, a
 * foreign stack, a full host.
 */
export async function createApp(
  d: Daemon,
  account: Account,
  wanted: Wanted,
  along: (tx: Tx, app: App) => Promise<unknown> = async () => {},
): Promise<App> {
  const name = wanted.name === undefined ? undefined : parseName(wanted.name)
  const stack = wanted.stack === undefined ? defaultStack : parseStack(wanted.stack)
  const now = d.clock.now()
  const { app, release } = await decide(d.db, async (tx) => {
    if (!(await accountNamed(tx, account.id))) throw new UserError('unauthorized', `${account.email} is gone.`)
    const app: App = {
      id: randomUUID(),
      name: await freeName(d, tx, name),
      owner_id: wanted.team ? TEAM : account.id,
      stack,
      maintenance: 0,
      locked: wanted.team?.locked ? 1 : 0,
      acm: 0,
      network: await freeNetwork(tx),
      created_at: now,
      updated_at: now,
      destroyed_at: null,
    }
    await tx.insertInto('apps').values(app).execute()
    await addOwner(tx, app, account)
    const release = await createRelease(d, tx, { app: app.id, account, description: 'Initial release' })
    await along(tx, app)
    return { app, release }
  })
  await failpoint('app.created')
  announceRelease(d, release, account, release.description)
  return app
}

/** By name or id. What the account may not see is not found, so that names of others are not given away. */
export async function findApp(db: DbOrTx, account: Account, nameOrId: string): Promise<App> {
  const app = await live(db)
    .where((or) => or.or([or('apps.name', '=', nameOrId), or('apps.id', '=', nameOrId)]))
    .executeTakeFirst()
  if (!app || (await permissionsOf({ db }, app, account)).length === 0) throw notFound('app', 'app')
  return app
}

/** All apps that the account may see, as a query. */
export const appsOf = (db: DbOrTx, account: Account) => live(db).where(visibleTo(account))

/** Of what the account may see, what somebody owns or was added to, as a query. */
export const appsJoinedBy = (db: DbOrTx, account: Account, somebody: Pick<Account, 'id'>) =>
  appsOf(db, account).where((where) => where('apps.id', 'in', joinedBy(somebody)(where)))

/** For the platform's own use: no question is asked who wants to know. */
export const appNamed = (db: DbOrTx, name: string): Promise<App | undefined> =>
  live(db).where('apps.name', '=', name).executeTakeFirst()

export interface Update {
  /** The git repository, releases and domains stay; the app's own host name changes. */
  name?: string | undefined
  /** The next build is made for it; what runs stays on the one it was built for. */
  stack?: string | undefined
  /** While it is on, routers answer every request to the app with the maintenance page. */
  maintenance?: boolean | undefined
}

/** As one decision: all of it or nothing. */
export async function updateApp(d: Daemon, app: App, account: Account, wanted: Update): Promise<App> {
  if (wanted.name !== undefined && wanted.name !== app.name) await requirePermission(d, app, account, 'manage')
  const { fields, words } = changesOf(app, wanted)
  if (words.length === 0) return app
  const { name } = fields
  await decide(d.db, async (tx) => {
    if (name !== undefined) await freeName(d, tx, name)
    await change(d, tx, { app, account }, fields)
    for (const text of words) await record(tx, account, { app: app.id, text, now: d.clock.now() })
  })
  if (name !== undefined) await failpoint('app.renamed')
  d.runner.poke(app.id)
  if (name !== undefined) d.acm.wake()
  for (const text of words) tell(d, app, account, text)
  return { ...app, ...fields }
}

/** Pure. What is not as it is wanted; throws UserError for a bad name or stack. */
function changesOf(app: App, wanted: Update): { fields: Partial<App>; words: string[] } {
  const fields: Partial<App> = {}
  const words: string[] = []
  if (wanted.name !== undefined && wanted.name !== app.name) {
    fields.name = parseName(wanted.name)
    words.push(`Renamed ${app.name} to ${fields.name}`)
  }
  const stack = wanted.stack === undefined ? app.stack : parseStack(wanted.stack)
  if (stack !== app.stack) {
    fields.stack = stack
    words.push(`Stack set to ${stack} for the next build`)
  }
  const maintenance = wanted.maintenance === undefined ? app.maintenance : wanted.maintenance ? 1 : 0
  if (maintenance !== app.maintenance) {
    fields.maintenance = maintenance
    words.push(`Maintenance mode ${wanted.maintenance ? 'enabled' : 'disabled'}`)
  }
  return { fields, words }
}

/** Automated Certificate Management. Off: its certificates go. */
export async function setAcm(d: Daemon, app: App, account: Account, on: boolean): Promise<App> {
  const acm = on ? 1 : 0
  if (acm === app.acm) return app
  const text = `${on ? 'Enable' : 'Disable'} Automated Certificate Management`
  await enact(d, { app, by: account, text }, async (tx) => {
    await change(d, tx, { app, account }, { acm })
    if (on) return
    await forgetProgress(tx, app)
    await forgetAutomatic(tx, app, { which: 'all', now: d.clock.now() })
  })
  await d.routers.publish(app.id)
  d.acm.wake()
  return { ...app, acm }
}

/** While a team app is locked, only members who were added to it see it. */
export async function setLocked(d: Daemon, app: App, account: Account, on: boolean): Promise<App> {
  await requirePermission(d, app, account, 'manage')
  if (app.owner_id !== TEAM) throw invalid(`${app.name} is not a team app: nobody sees it but those it is shared with.`)
  const locked = on ? 1 : 0
  if (locked === app.locked) return app
  await enact(d, { app, by: account, text: on ? 'Locked' : 'Unlocked' }, (tx) =>
    change(d, tx, { app, account }, { locked }),
  )
  return { ...app, locked }
}

/** Part of a transfer. Only team apps are locked. */
export const setOwner = (
  d: Daemon,
  tx: Tx,
  { app, account }: { app: App; account: Actor },
  { id }: { id: string },
): Promise<unknown> => change(d, tx, { app, account }, { owner_id: id, locked: 0 })

/** From now on nobody finds the app and its name is free; its pass stops the dynos, then `forgetApp` ends it. */
export async function destroyApp(d: Daemon, app: App, account: Account): Promise<void> {
  await requirePermission(d, app, account, 'manage')
  const destroy = () =>
    decide(d.db, async (tx) => {
      await change(d, tx, { app, account }, { destroyed_at: d.clock.now() })
      await record(tx, account, { app: app.id, text: `Destroyed ${app.name}`, now: d.clock.now() })
    })
  await fromReserve(d.config.data, destroy)
  await failpoint('app.destroyed')
  d.runner.poke(app.id)
}

/** Deletes all rows of a destroyed app; for its pass, when containers and files are gone. Its network is free then. */
export const forgetApp = (db: DbOrTx, id: string): Promise<unknown> =>
  db.deleteFrom('apps').where('id', '=', id).where('destroyed_at', 'is not', null).execute()

const live = (db: DbOrTx) => db.selectFrom('apps').selectAll('apps').where('apps.destroyed_at', 'is', null)

async function change(
  d: Daemon,
  tx: Tx,
  { app, account }: { app: App; account: Actor },
  fields: Partial<App>,
): Promise<void> {
  const now = d.clock.now()
  const changed = { ...app, ...fields, updated_at: now }
  await tx
    .updateTable('apps')
    .set({ ...fields, updated_at: now })
    .where('id', '=', app.id)
    .execute()
  const action = changed.destroyed_at === null ? 'update' : 'destroy'
  await note(tx, { app: app.id, account, include: 'api:app', action, subject: changed, previous: app, now })
}

async function freeName(d: Pick<Daemon, 'config'>, tx: Tx, wanted: string | undefined): Promise<string> {
  const name = wanted ?? generateName()
  const ours = hostsOf(d.config.names).includes(`${name}.${d.config.domain}`)
  if (!ours && !(await appNamed(tx, name))) return name
  if (wanted !== undefined) throw invalid(`Name ${name} is already taken`)
  return freeName(d, tx, undefined)
}

/** The lowest index that no app has, so that the pool is used from its start; an app that is being destroyed keeps its own. */
async function freeNetwork(tx: Tx): Promise<number> {
  const taken = new Set((await tx.selectFrom('apps').select('network').execute()).map(({ network }) => network))
  for (let index = 0; index < limits.appsPerEngine; index++) if (!taken.has(index)) return index
  throw invalid(`This host has its ${limits.appsPerEngine} apps. Destroy one that is no longer needed first.`)
}
