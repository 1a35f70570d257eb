import { randomBytes, randomUUID } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Selectable } from 'kysely'
import { ADMIN } from '../config.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound, UserError } from '../errors.ts'
import { type DbOrTx, decide, type Tx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import { installToken } from './authorization.ts'
import { isTeamAddress, TEAM, teamAddress } from './team.ts'

export type Account = Selectable<Schema['accounts']> & {
  /** The address that the account acts from, for the audit trail. */
  from?: string | undefined
}

/**
 * Makes the administrator's account and token at first start. The token is the operator's (SLUICE_ADMIN_TOKEN), or a random one kept
 * in `admin.token`, readable by the owner only. Safe to repeat after a crash at any line: the row is written before the file, and a
 * missing file means a new token. A token that was revoked does not come back while its file is there. An address that is named only after
 * the first start replaces the one that nobody chose.
 */
export async function ensureAdmin(d: Daemon): Promise<void> {
  const path = join(d.config.data, 'admin.token')
  const kept = await readToken(path)
  const known = await d.db
    .selectFrom('accounts')
    .selectAll()
    .where('admin', '=', 1)
    .orderBy('created_at')
    .executeTakeFirst()
  if (known) await readdress(d, known)
  if (known && kept !== undefined && d.config.adminToken === undefined) return
  const token = d.config.adminToken ?? (known ? undefined : kept) ?? `SLUICE-${randomBytes(24).toString('hex')}`
  await decide(d.db, async (tx) => {
    const admin =
      known ?? (await addAccount(tx, { email: d.config.adminEmail, name: null, admin: 1, now: d.clock.now() }))
    await installToken(tx, admin, { token, description: 'Administrator', now: d.clock.now() })
  })
  if (token !== kept) await writeToken(path, token)
}

async function readdress({ db, config, clock }: Daemon, { id, email }: Account): Promise<void> {
  const now = clock.now()
  if (email !== ADMIN || config.adminEmail === ADMIN) return
  await decide(db, async (tx) => {
    if (await accountNamed(tx, config.adminEmail)) return
    await tx.updateTable('accounts').set({ email: config.adminEmail, updated_at: now }).where('id', '=', id).execute()
  })
}

/** `~`, an id or an email; an account sees itself, the administrator sees all. */
export async function findAccount(db: DbOrTx, self: Account, which: string): Promise<Account> {
  if (which === '~' || which === self.id || which.toLowerCase() === self.email.toLowerCase()) return self
  const account = self.admin ? await accountNamed(db, which) : undefined
  if (!account) throw notFound('user', 'user')
  return account
}

/** By id or email; one that was removed is not found, nor is the team. */
export const accountNamed = (db: DbOrTx, idOrEmail: string): Promise<Account | undefined> =>
  db
    .selectFrom('accounts')
    .selectAll()
    .where((or) => or.or([or('id', '=', idOrEmail), or('email', '=', idOrEmail)]))
    .where('removed_at', 'is', null)
    .where('id', '!=', TEAM)
    .executeTakeFirst()

/** What somebody may change of an account without further questions. */
export type Changes = Partial<Pick<Account, 'name' | 'allow_tracking' | 'beta' | 'last_login'>>

export async function changeAccount(
  db: DbOrTx,
  account: Account,
  changes: Changes & { now: number },
): Promise<Account> {
  const { now, ...rest } = changes
  const changed = { ...rest, updated_at: now }
  await db.updateTable('accounts').set(changed).where('id', '=', account.id).execute()
  return { ...account, ...changed }
}

/** Asked inside the decision, as somebody may have lost the role since the request came. Throws UserError. */
export async function requireAdministrator(db: DbOrTx, by: Account): Promise<void> {
  const still = db.selectFrom('accounts').select('id').where('id', '=', by.id).where('admin', '=', 1)
  if (!(await still.executeTakeFirst()))
    throw new UserError('forbidden', 'Only an administrator may do this. `heroku members` shows who is an admin.')
}

/** Makes it an administrator or an ordinary account. Throws UserError when it is the last administrator. */
export async function setAdministrator(tx: Tx, account: Account, admin: 0 | 1, now: number): Promise<Account> {
  if (admin === 0) await requireAnotherAdministrator(tx, account)
  const changed = { admin, updated_at: now }
  await tx.updateTable('accounts').set(changed).where('id', '=', account.id).execute()
  return { ...account, ...changed }
}

/**
 * Marks the account as gone: nobody finds it and its address is free. The row stays, for what it released and built names it. Part of
 * `removeAccount` (app/departure.ts), which ends all else.
 */
export async function forgetAccount(tx: Tx, account: Account, now: number): Promise<void> {
  await requireAnotherAdministrator(tx, account)
  // still an address, of a domain that nobody can have (RFC 2606)
  const email = `${account.email}.removed-${account.id.slice(0, 8)}.invalid`
  const changed = { email, name: null, admin: 0 as const, removed_at: now, updated_at: now }
  await tx.updateTable('accounts').set(changed).where('id', '=', account.id).execute()
}

async function requireAnotherAdministrator(tx: Tx, account: Account): Promise<void> {
  const others = tx.selectFrom('accounts').select('id').where('admin', '=', 1).where('id', '!=', account.id)
  if (!(await others.executeTakeFirst()))
    throw invalid(`${account.email} is the last administrator. Make somebody else one first.`)
}

/** Gives the team another name, and the address that goes with it. */
export const renameTeam = (tx: Tx, name: string, now: number): Promise<unknown> =>
  tx
    .updateTable('accounts')
    .set({ name, email: teamAddress(name), updated_at: now })
    .where('id', '=', TEAM)
    .execute()

/** Makes an account. Part of a larger decision, which has seen that the address is free. */
export async function addAccount(
  tx: Tx,
  { email, name, admin, now }: { email: string; name: string | null; admin: 0 | 1; now: number },
): Promise<Account> {
  const flags = { admin, allow_tracking: 0, beta: 0 } as const
  const times = { created_at: now, updated_at: now, last_login: null, removed_at: null }
  const account: Account = { id: randomUUID(), email, name, ...flags, ...times }
  await tx.insertInto('accounts').values(account).execute()
  return account
}

/** As browsers have it (https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address). */
const EMAIL =
  /^[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i

/** An email address that can be one; throws UserError otherwise. */
export function parseEmail(text: string): string {
  const email = text.trim()
  if (email.length > 254 || !EMAIL.test(email)) throw invalid(`${email.slice(0, 100)} is not an email address.`)
  if (isTeamAddress(email)) throw invalid(`${email.slice(0, 100)} is the address of a team, not of a person.`)
  return email
}

async function readToken(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim() || undefined
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function writeToken(path: string, token: string): Promise<void> {
  const next = `${path}.next`
  await writeFile(next, `${token}\n`, { mode: 0o600, flush: true })
  await rename(next, path)
}
