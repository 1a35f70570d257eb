import { randomBytes, randomUUID } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Selectable } from 'kysely'
import type { Daemon } from '../daemon.ts'
import { notFound } from '../errors.ts'
import { type DbOrTx, decide } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import { installToken } from './authorization.ts'

export type Account = Selectable<Schema['accounts']> & {
  /** The address that the account acts from, for the audit trail. */
  from?: string | undefined
}

/**
 * Makes the administrator's account and token at first start. The token is the operator's (SLUICE_ADMIN_TOKEN), or a random one kept
 * in `admin.token`, readable by the owner only. Safe to repeat after a crash at any line: the row is written before the file, and a
 * missing file means a new token. A token that was revoked does not come back while its file is there.
 */
export async function ensureAdmin(d: Daemon): Promise<void> {
  const path = join(d.config.data, 'admin.token')
  const kept = await readToken(path)
  const known = await d.db.selectFrom('accounts').selectAll().where('admin', '=', 1).executeTakeFirst()
  if (known && kept !== undefined && d.config.adminToken === undefined) return
  const token = d.config.adminToken ?? (known ? undefined : kept) ?? `SLUICE-${randomBytes(24).toString('hex')}`
  await decide(d.db, async (tx) => {
    const admin = known ?? (await insertAccount(tx, { email: d.config.adminEmail, admin: 1, now: d.clock.now() }))
    await installToken(tx, admin, { token, description: 'Administrator', now: d.clock.now() })
  })
  if (token !== kept) await writeToken(path, token)
}

/** `~`, an id or an email; an account sees itself, the administrator sees all. */
export async function findAccount(db: DbOrTx, self: Account, which: string): Promise<Account> {
  if (which === '~' || which === self.id || which.toLowerCase() === self.email.toLowerCase()) return self
  const account = self.admin ? await accountNamed(db, which) : undefined
  if (!account) throw notFound('user', 'user')
  return account
}

export const accountNamed = (db: DbOrTx, idOrEmail: string): Promise<Account | undefined> =>
  db
    .selectFrom('accounts')
    .selectAll()
    .where((or) => or.or([or('id', '=', idOrEmail), or('email', '=', idOrEmail)]))
    .executeTakeFirst()

/** Changes the display name. */
export async function renameAccount(d: Daemon, account: Account, name: string | null): Promise<Account> {
  const changed = { name, updated_at: d.clock.now() }
  await d.db.updateTable('accounts').set(changed).where('id', '=', account.id).execute()
  return { ...account, ...changed }
}

async function insertAccount(
  tx: DbOrTx,
  { email, admin, now }: { email: string; admin: 0 | 1; now: number },
): Promise<Account> {
  const account: Account = {
    id: randomUUID(),
    email,
    name: null,
    admin,
    created_at: now,
    updated_at: now,
    last_login: null,
  }
  await tx.insertInto('accounts').values(account).execute()
  return account
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
