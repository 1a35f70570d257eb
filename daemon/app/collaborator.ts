import { randomUUID } from 'node:crypto'
import { type Account, accountNamed } from '../account/account.ts'
import { tell } from '../account/activity.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound, UserError } from '../errors.ts'
import { type DbOrTx, decide, type Tx } from '../store/database.ts'
import type { App } from './app.ts'

/** Somebody who may see, deploy and configure an app. */
export interface Collaborator {
  id: string
  role: 'owner' | 'collaborator'
  user: { id: string; email: string }
  created_at: number
  updated_at: number
}

/** The owner first, then by email. */
export async function listCollaborators(db: DbOrTx, app: App): Promise<Collaborator[]> {
  const rows = await db
    .selectFrom('collaborators')
    .innerJoin('accounts', 'accounts.id', 'collaborators.account_id')
    .selectAll('collaborators')
    .select('accounts.email')
    .where('app_id', '=', app.id)
    .orderBy('role', 'desc')
    .orderBy('accounts.email')
    .execute()
  return rows.map(({ id, role, account_id, email, created_at, updated_at }) => ({
    id,
    role,
    user: { id: account_id, email },
    created_at,
    updated_at,
  }))
}

/** By the account's email or id, or by the collaboration's id. */
export async function findCollaborator(db: DbOrTx, app: App, which: string): Promise<Collaborator> {
  const wanted = which.toLowerCase()
  const found = (await listCollaborators(db, app)).find(
    ({ id, user }) => id === wanted || user.id === wanted || user.email.toLowerCase() === wanted,
  )
  if (!found) throw notFound('collaborator', 'collaborator')
  return found
}

/** Shares the app with an existing account. Throws UserError when there is none, or when it has the app already. */
export async function addCollaborator(d: Daemon, app: App, by: Account, user: string): Promise<Collaborator> {
  requireOwner(app, by)
  const account = await accountNamed(d.db, user)
  if (!account) throw invalid(`There is no account ${user.slice(0, 200)} here, so the app cannot be shared with it.`)
  await decide(d.db, async (tx) => {
    const has = (await listCollaborators(tx, app)).some((one) => one.user.id === account.id)
    if (has) throw invalid(`User is already a collaborator on app. (${account.email})`)
    await insert(tx, app, { account, role: 'collaborator', now: d.clock.now() })
  })
  await tell(d, app, by, `Added ${account.email} as a collaborator`)
  return findCollaborator(d.db, app, account.id)
}

/** The owner removes others; a collaborator may leave. */
export async function removeCollaborator(d: Daemon, app: App, by: Account, which: string): Promise<Collaborator> {
  const collaborator = await findCollaborator(d.db, app, which)
  if (collaborator.user.id !== by.id) requireOwner(app, by)
  if (collaborator.role === 'owner') throw invalid(`${collaborator.user.email} owns ${app.name} and cannot be removed.`)
  await d.db.deleteFrom('collaborators').where('id', '=', collaborator.id).execute()
  await tell(d, app, by, `Removed ${collaborator.user.email} as a collaborator`)
  return collaborator
}

/** Only the owner and the administrator may rename, share or destroy an app. */
export function requireOwner(app: App, account: Account): void {
  if (app.owner_id !== account.id && !account.admin)
    throw new UserError('forbidden', `Only the owner of ${app.name} may do this.`)
}

/** Part of making an app. */
export const addOwner = (tx: Tx, app: App, account: Account): Promise<unknown> =>
  insert(tx, app, { account, role: 'owner', now: app.created_at })

const insert = (
  db: DbOrTx,
  app: App,
  { account, role, now }: { account: Account; role: Collaborator['role']; now: number },
): Promise<unknown> =>
  db
    .insertInto('collaborators')
    .values({ id: randomUUID(), app_id: app.id, account_id: account.id, role, created_at: now, updated_at: now })
    .execute()
