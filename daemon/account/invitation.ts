import { createHash, randomBytes, randomUUID } from 'node:crypto'
import type { Selectable } from 'kysely'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound } from '../errors.ts'
import { limits } from '../limits.ts'
import { type DbOrTx, decide, type Tx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import { type Account, accountNamed, addAccount, parseEmail, requireAdministrator } from './account.ts'
import { record } from './activity.ts'
import { hashPassword, setPassword } from './password.ts'
import { endSessions } from './session.ts'

/**
 * A link that is good once, to choose a password with: for somebody who has no account yet, or, after a reset, for an account. The secret
 * in it is known only to whoever got it.
 */
export type Invitation = Selectable<Schema['invitations']>
export type Role = Invitation['role']

/**
 * Invites somebody new; inviting again replaces the link before. Only administrators may. The token is returned here and never again:
 * the link is `/invitations/TOKEN`.
 */
export async function inviteAccount(
  d: Daemon,
  by: Account,
  { email, role }: { email: string; role: Role },
): Promise<{ invitation: Invitation; token: string }> {
  const address = parseEmail(email)
  return decide(d.db, async (tx) => {
    await requireAdministrator(tx, by)
    if (await accountNamed(tx, address)) throw invalid(`${address} has an account here already.`)
    const made = await make(d, tx, { email: address, role, by, account: null })
    await record(tx, by, { app: null, text: `Invited ${address} as ${role}`, now: d.clock.now() })
    return made
  })
}

/** A link for an account to choose its password again. The old password is good until then. Only administrators may. */
export async function resetPassword(
  d: Daemon,
  by: Account,
  email: string,
): Promise<{ invitation: Invitation; token: string; account: Account }> {
  return decide(d.db, async (tx) => {
    await requireAdministrator(tx, by)
    const account = await accountNamed(tx, email)
    if (!account) throw notFound('user', 'user')
    const role = account.admin ? 'admin' : 'member'
    const made = await make(d, tx, { email: account.email, role, by, account: account.id })
    await record(tx, by, {
      app: null,
      text: `Made a link to reset the password of ${account.email}`,
      now: d.clock.now(),
    })
    return { ...made, account }
  })
}

/** Open invitations of people without an account, oldest first. */
export const listInvitations = (db: DbOrTx, now: number): Promise<Invitation[]> =>
  open(db, now).where('account_id', 'is', null).orderBy('created_at').execute()

/** By id or email. */
export async function revokeInvitation(d: Daemon, by: Account, which: string): Promise<Invitation> {
  return decide(d.db, async (tx) => {
    await requireAdministrator(tx, by)
    const found = (await listInvitations(tx, d.clock.now())).find(
      ({ id, email }) => id === which || email.toLowerCase() === which.toLowerCase(),
    )
    if (!found) throw notFound('invitation', 'invitation')
    await tx.deleteFrom('invitations').where('id', '=', found.id).execute()
    await record(tx, by, { app: null, text: `Revoked the invitation of ${found.email}`, now: d.clock.now() })
    return found
  })
}

/** The open invitation of a link. Secrets are random, so that finding one by its hash tells nothing by its timing. */
export async function findInvitation(db: DbOrTx, token: string, now: number): Promise<Invitation> {
  const found = await open(db, now).where('token_hash', '=', hashOf(token)).executeTakeFirst()
  if (!found) throw notFound('invitation', 'invitation')
  return found
}

/** Makes the account, or gives it its new password and ends its sessions; the link is used up. */
export async function acceptInvitation(
  d: Daemon,
  token: string,
  { name, password, from }: { name?: string | undefined; password: string; from?: string | undefined },
): Promise<Account> {
  await findInvitation(d.db, token, d.clock.now())
  const hash = await hashPassword(password)
  return decide(d.db, async (tx) => {
    const now = d.clock.now()
    const invitation = await findInvitation(tx, token, now)
    const account = await invited(tx, invitation, name, now)
    await setPassword(tx, account, hash, now)
    await endSessions(tx, account)
    await tx.deleteFrom('invitations').where('id', '=', invitation.id).execute()
    const text = invitation.account_id === null ? 'Accepted the invitation' : 'Chose a new password by link'
    await record(tx, { ...account, from }, { app: null, text, now })
    return account
  })
}

/** Part of the departure of an account, or of an administrator's role: links to it, and those that it has made. */
export const withdrawInvitations = (tx: Tx, account: { id: string }): Promise<unknown> =>
  tx
    .deleteFrom('invitations')
    .where((or) => or.or([or('account_id', '=', account.id), or('invited_by', '=', account.id)]))
    .execute()

async function invited(tx: Tx, invitation: Invitation, name: string | undefined, now: number): Promise<Account> {
  const { email, role, account_id } = invitation
  const account = await accountNamed(tx, account_id ?? email)
  if (account_id !== null) {
    if (!account) throw notFound('invitation', 'invitation')
    return account
  }
  if (account) throw invalid(`${email} has an account here already.`)
  return addAccount(tx, { email, name: name ?? null, admin: role === 'admin' ? 1 : 0, now })
}

interface Wish {
  email: string
  role: Role
  by: Account
  account: string | null
}

async function make(d: Daemon, tx: Tx, { email, role, by, account }: Wish) {
  const now = d.clock.now()
  await tx
    .deleteFrom('invitations')
    .where((or) => or.or([or('expires_at', '<=', now), or('email', '=', email)]))
    .execute()
  const { count } = await tx
    .selectFrom('invitations')
    .select((select) => select.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  if (count >= limits.invitations)
    throw invalid(`There are ${limits.invitations} open invitations. Revoke those that are no longer needed first.`)
  const token = randomBytes(24).toString('base64url')
  const times = { expires_at: now + limits.invitation, created_at: now, updated_at: now }
  const keys = { id: randomUUID(), account_id: account, token_hash: hashOf(token), invited_by: by.id }
  const invitation: Invitation = { email, role, ...keys, ...times }
  await tx.insertInto('invitations').values(invitation).execute()
  return { invitation, token }
}

const open = (db: DbOrTx, now: number) => db.selectFrom('invitations').selectAll().where('expires_at', '>', now)

const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex')
