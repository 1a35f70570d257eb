import { randomUUID } from 'node:crypto'
import type { Selectable } from 'kysely'
import type { Account } from '../account/account.ts'
import { record, tell } from '../account/activity.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound } from '../errors.ts'
import { limits } from '../limits.ts'
import { announceRelease, createRelease } from '../release/release.ts'
import { type DbOrTx, decide, type Tx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import { addOwner, requireOwner } from './collaborator.ts'
import { generateName, parseName } from './name.ts'
import { defaultStack, parseStack, type Stack } from './stack.ts'

export type App = Selectable<Schema['apps']>

/** Makes an app, its owner and its release v1 as one decision. Throws UserError for a bad or taken name, a foreign stack, a full host. */
export async function createApp(
  d: Daemon,
  account: Account,
  wanted: { name?: string | undefined; stack?: string | undefined },
): Promise<App> {
  const name = wanted.name === undefined ? undefined : parseName(wanted.name)
  const stack = wanted.stack === undefined ? defaultStack : parseStack(wanted.stack)
  const now = d.clock.now()
  const { app, release } = await decide(d.db, async (tx) => {
    const app: App = {
      id: randomUUID(),
      name: await freeName(tx, name),
      owner_id: account.id,
      stack,
      maintenance: 0,
      network: await freeNetwork(tx),
      created_at: now,
      updated_at: now,
      destroyed_at: null,
    }
    await tx.insertInto('apps').values(app).execute()
    await addOwner(tx, app, account)
    const release = await createRelease(d, tx, { app: app.id, account, description: 'Initial release' })
    return { app, release }
  })
  announceRelease(d, release, account, release.description)
  return app
}

/** By name or id. Somebody else's app is not found, so that names of others are not given away. */
export async function findApp(db: DbOrTx, account: Account, nameOrId: string): Promise<App> {
  const app = await visible(db, account)
    .where((or) => or.or([or('apps.name', '=', nameOrId), or('apps.id', '=', nameOrId)]))
    .executeTakeFirst()
  if (!app) throw notFound('app', 'app')
  return app
}

/** All apps that the account may see, by name. With `own`, not those that only the administrator's rights show. */
export const listApps = (db: DbOrTx, account: Account, { own }: { own: boolean }): Promise<App[]> =>
  visible(db, own ? { ...account, admin: 0 } : account)
    .orderBy('apps.name')
    .execute()

/** For the platform's own use: no question is asked who wants to know. */
export const appNamed = (db: DbOrTx, name: string): Promise<App | undefined> =>
  live(db).where('apps.name', '=', name).executeTakeFirst()

/** The git repository, releases and domains stay; the app's own host name changes. */
export async function renameApp(d: Daemon, app: App, account: Account, newName: string): Promise<App> {
  if (newName === app.name) return app
  requireOwner(app, account)
  const name = parseName(newName)
  await decide(d.db, async (tx) => {
    await freeName(tx, name)
    await change(d, tx, app, { name })
  })
  d.runner.poke(app.id)
  await tell(d, app, account, `Renamed ${app.name} to ${name}`)
  return { ...app, name }
}

/** While it is on, routers answer every request to the app with the maintenance page. */
export async function setMaintenance(d: Daemon, app: App, account: Account, on: boolean): Promise<App> {
  const maintenance = on ? 1 : 0
  if (maintenance === app.maintenance) return app
  await change(d, d.db, app, { maintenance })
  d.runner.poke(app.id)
  await tell(d, app, account, `Maintenance mode ${on ? 'enabled' : 'disabled'}`)
  return { ...app, maintenance }
}

/** The next build is made for this stack; what runs stays on the one it was built for. */
export async function setStack(d: Daemon, app: App, account: Account, name: string): Promise<App> {
  const stack: Stack = parseStack(name)
  if (stack === app.stack) return app
  await change(d, d.db, app, { stack })
  await tell(d, app, account, `Stack set to ${stack} for the next build`)
  return { ...app, stack }
}

/** From now on nobody finds the app and its name is free; its pass stops the dynos, then `forgetApp` ends it. */
export async function destroyApp(d: Daemon, app: App, account: Account): Promise<void> {
  requireOwner(app, account)
  await decide(d.db, async (tx) => {
    await change(d, tx, app, { destroyed_at: d.clock.now() })
    await record(tx, account, { app: app.id, text: `Destroyed ${app.name}`, now: d.clock.now() })
  })
  d.runner.poke(app.id)
}

/** Deletes all rows of a destroyed app; for its pass, when containers and files are gone. Its network is free then. */
export const forgetApp = (db: DbOrTx, id: string): Promise<unknown> =>
  db.deleteFrom('apps').where('id', '=', id).where('destroyed_at', 'is not', null).execute()

const live = (db: DbOrTx) => db.selectFrom('apps').selectAll('apps').where('apps.destroyed_at', 'is', null)

const visible = (db: DbOrTx, account: Account) =>
  account.admin
    ? live(db)
    : live(db)
        .innerJoin('collaborators', 'collaborators.app_id', 'apps.id')
        .where('collaborators.account_id', '=', account.id)

const change = (d: Daemon, db: DbOrTx, app: App, fields: Partial<App>): Promise<unknown> =>
  db
    .updateTable('apps')
    .set({ ...fields, updated_at: d.clock.now() })
    .where('id', '=', app.id)
    .execute()

async function freeName(tx: Tx, wanted: string | undefined): Promise<string> {
  const name = wanted ?? generateName()
  if (!(await appNamed(tx, name))) return name
  if (wanted !== undefined) throw invalid(`Name ${name} is already taken`)
  return freeName(tx, undefined)
}

/** The lowest index that no app has, so that the pool is used from its start; an app that is being destroyed keeps its own. */
async function freeNetwork(tx: Tx): Promise<number> {
  const taken = new Set((await tx.selectFrom('apps').select('network').execute()).map(({ network }) => network))
  for (let index = 0; index < limits.appsPerEngine; index++) if (!taken.has(index)) return index
  throw invalid(`This host has its ${limits.appsPerEngine} apps. Destroy one that is no longer needed first.`)
}
