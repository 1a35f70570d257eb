import { randomUUID } from 'node:crypto'
import { type Account, accountNamed } from '../account/account.ts'
import { enact } from '../account/activity.ts'
import { TEAM, theTeam } from '../account/team.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound, type UserError } from '../errors.ts'
import type { DbOrTx, Tx } from '../store/database.ts'
import { note } from '../webhook/event.ts'
import { type App, findApp } from './app.ts'
import { type Permission, permissions, permissionsFrom, requirePermission, standard } from './permission.ts'

/** Somebody who may see an app, and what else they may do with it. */
export interface Collaborator {
  id: string
  /** Of a team app: the role in the team of who was added; the team itself is the owner. */
  role: 'owner' | 'collaborator' | 'admin' | 'member'
  permissions: readonly Permission[]
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
    .select(['accounts.email', 'accounts.admin'])
    .where('app_id', '=', app.id)
    .orderBy('role', 'desc')
    .orderBy('accounts.email')
    .execute()
  return rows.map(({ id, role, permissions: given, account_id, email, admin, created_at, updated_at }) => ({
    id,
    role: role === 'owner' || app.owner_id !== TEAM ? role : admin ? 'admin' : 'member',
    permissions: role === 'owner' || admin ? permissions : permissionsFrom(given),
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

/**
 * Shares the app with an existing account. Who may manage the app adds anybody; a member adds themselves to a team app that is not locked.
 * Throws UserError when there is no such account, or when it has the app already.
 */
export async function addCollaborator(
  d: Daemon,
  app: App,
  by: Account,
  { user, permissions: given }: { user: string; permissions?: readonly Permission[] | undefined },
): Promise<Collaborator> {
  const joins =
    app.owner_id === TEAM && given === undefined && [by.id, by.email.toLowerCase()].includes(user.toLowerCase())
  if (given && app.owner_id !== TEAM) throw onlyOfTeamApps(app)
  const text = ({ user }: Collaborator) => (joins ? `${user.email} joined` : `Added ${user.email} as a collaborator`)
  return enact(d, { app, by, text }, async (tx) => {
    if (!joins) await requirePermission({ db: tx }, app, by, 'manage')
    const account = await accountNamed(tx, user)
    if (!account) throw await unknown(tx, user)
    const current = await findApp(tx, by, app.id)
    if (current.owner_id !== app.owner_id) throw notFound('app', 'app')
    const has = (await listCollaborators(tx, app)).some((one) => one.user.id === account.id)
    if (has) throw invalid(`User is already a collaborator on app. (${account.email})`)
    const now = d.clock.now()
    await insert(tx, app, { account, role: 'collaborator', permissions: given ?? standard, now })
    const subject = await findCollaborator(tx, app, account.id)
    await note(tx, { app: app.id, account: by, include: 'api:collaborator', action: 'create', subject, now })
    return subject
  })
}

/** What somebody who was added to a team app may do from now on, beside seeing it. */
export async function setPermissions(
  d: Daemon,
  app: App,
  by: Account,
  { which, permissions: given }: { which: string; permissions: readonly Permission[] },
): Promise<Collaborator> {
  if (app.owner_id !== TEAM) throw onlyOfTeamApps(app)
  const text = ({ user, permissions }: Collaborator) => `Gave ${user.email} the permissions ${permissions.join(', ')}`
  return enact(d, { app, by, text }, async (tx) => {
    await requirePermission({ db: tx }, app, by, 'manage')
    const previous = await findCollaborator(tx, app, which)
    const { id, role, user } = previous
    if (role === 'owner') throw invalid(`${user.email} owns ${app.name}, and has all permissions.`)
    if (role === 'admin') throw invalid(`${user.email} is an admin of the team and has all permissions of its apps.`)
    const changed = { permissions: JSON.stringify(given), updated_at: d.clock.now() }
    await tx.updateTable('collaborators').set(changed).where('id', '=', id).execute()
    const subject = await findCollaborator(tx, app, id)
    const news = { app: app.id, account: by, include: 'api:collaborator', action: 'update' } as const
    await note(tx, { ...news, subject, previous, now: changed.updated_at })
    return subject
  })
}

/** Who may manage the app removes others; everybody may leave. */
export async function removeCollaborator(d: Daemon, app: App, by: Account, which: string): Promise<Collaborator> {
  const text = ({ user }: Collaborator) =>
    user.id === by.id ? `${user.email} left` : `Removed ${user.email} as a collaborator`
  return enact(d, { app, by, text }, async (tx) => {
    const current = await findCollaborator(tx, app, which)
    const { id, user } = current
    if (user.id !== by.id) await requirePermission({ db: tx }, app, by, 'manage')
    if (current.role === 'owner')
      throw invalid(`${user.email} owns ${app.name} and cannot be removed. Transfer the app first.`)
    await tx.deleteFrom('collaborators').where('id', '=', id).execute()
    const news = { app: app.id, account: by, include: 'api:collaborator', action: 'destroy' } as const
    await note(tx, { ...news, subject: current, now: d.clock.now() })
    return current
  })
}

/** Part of making an app. Whoever makes one for the team may everything with it. */
export async function addOwner(tx: Tx, app: App, maker: Account): Promise<void> {
  await insert(tx, app, { account: { id: app.owner_id }, role: 'owner', permissions, now: app.created_at })
  if (maker.id !== app.owner_id)
    await insert(tx, app, { account: maker, role: 'collaborator', permissions, now: app.created_at })
}

/**
 * Part of a transfer: `to` owns the app. An owner before stays a collaborator, with all permissions if it is the team's now; what leaves the
 * team leaves its members.
 */
export async function passOn(tx: Tx, app: App, to: { id: string }, now: number): Promise<void> {
  if (app.owner_id === TEAM) await tx.deleteFrom('collaborators').where('app_id', '=', app.id).execute()
  await tx
    .updateTable('collaborators')
    .set({
      role: 'collaborator',
      permissions: JSON.stringify(to.id === TEAM ? permissions : standard),
      updated_at: now,
    })
    .where('app_id', '=', app.id)
    .where('role', '=', 'owner')
    .execute()
  await tx.deleteFrom('collaborators').where('app_id', '=', app.id).where('account_id', '=', to.id).execute()
  await insert(tx, app, { account: to, role: 'owner', permissions, now })
}

/** Part of the departure of an account. */
export const leaveApps = (tx: Tx, account: { id: string }): Promise<unknown> =>
  tx.deleteFrom('collaborators').where('account_id', '=', account.id).execute()

const onlyOfTeamApps = (app: App): UserError =>
  invalid(
    `${app.name} is not a team app: its collaborators may all do the same. Transfer it to the team to give permissions.`,
  )

const unknown = async (tx: Tx, user: string): Promise<UserError> =>
  invalid(
    `There is no account ${user.slice(0, 200)} here. Let an admin invite it first: ` +
      `\`heroku members:add ${user.slice(0, 200)} --role member --team ${(await theTeam(tx)).name}\`.`,
  )

interface Collaboration {
  account: { id: string }
  role: 'owner' | 'collaborator'
  permissions: readonly Permission[]
  now: number
}

const insert = (db: DbOrTx, app: App, { account, role, permissions: given, now }: Collaboration): Promise<unknown> =>
  db
    .insertInto('collaborators')
    .values({
      ...{ id: randomUUID(), app_id: app.id, account_id: account.id, role },
      ...{ permissions: JSON.stringify(given), created_at: now, updated_at: now },
    })
    .execute()
