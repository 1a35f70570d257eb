import { createHash, randomBytes, randomUUID } from 'node:crypto'
import type { Selectable } from 'kysely'
import { notFound } from '../errors.ts'
import type { DbOrTx, Tx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import type { Account } from './account.ts'

/** A token and what it is for. The token itself is known only to whoever got it: the row keeps its SHA-256. */
export type Authorization = Selectable<Schema['authorizations']>

const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex')

/** Enough to tell tokens apart; the middle is as the official CLI expects it of a redacted token. */
const hintOf = (token: string): string => `${token.slice(0, 9)}**********${token.slice(-4)}`

/** The account whose unexpired token this is. Tokens are random, so that finding one by its hash tells nothing by its timing. */
export async function authenticate(db: DbOrTx, token: string, now = Date.now()): Promise<Account | null> {
  if (token.length === 0 || token.length > 512) return null
  const account = await db
    .selectFrom('authorizations')
    .innerJoin('accounts', 'accounts.id', 'authorizations.account_id')
    .selectAll('accounts')
    .where('token_hash', '=', hashOf(token))
    .where((or) => or.or([or('expires_at', 'is', null), or('expires_at', '>', now)]))
    .executeTakeFirst()
  return account ?? null
}

export const isToken = (authorization: Authorization, token: string): boolean =>
  authorization.token_hash === hashOf(token)

export const listAuthorizations = (db: DbOrTx, account: Account): Promise<Authorization[]> =>
  db.selectFrom('authorizations').selectAll().where('account_id', '=', account.id).orderBy('created_at').execute()

/** By id; `~` is the one that the request came with. */
export async function findAuthorization(
  db: DbOrTx,
  account: Account,
  id: string,
  token: string,
): Promise<Authorization> {
  const authorization = (await listAuthorizations(db, account)).find((one) =>
    id === '~' ? isToken(one, token) : one.id === id,
  )
  if (!authorization) throw notFound('authorization', 'authorization')
  return authorization
}

export interface Request {
  description: string
  scope: string[]
  /** Seconds, or null for never. */
  expiresIn: number | null
  now: number
}

/** Makes an authorization with a new token, which is returned here and never again. */
export async function createAuthorization(
  db: DbOrTx,
  account: Account,
  { description, scope, expiresIn, now }: Request,
): Promise<{ authorization: Authorization; token: string }> {
  const token = newToken()
  const authorization: Authorization = {
    id: randomUUID(),
    account_id: account.id,
    description,
    token_hash: hashOf(token),
    token_hint: hintOf(token),
    scope: JSON.stringify(scope),
    expires_at: expiresIn === null ? null : now + expiresIn * 1000,
    created_at: now,
    updated_at: now,
  }
  await db.insertInto('authorizations').values(authorization).execute()
  return { authorization, token }
}

export async function describeAuthorization(
  db: DbOrTx,
  authorization: Authorization,
  description: string,
  now: number,
): Promise<Authorization> {
  const changed = { description, updated_at: now }
  await db.updateTable('authorizations').set(changed).where('id', '=', authorization.id).execute()
  return { ...authorization, ...changed }
}

/** Gives the authorization a new token; the old one is refused from now on. The time of expiry stays. */
export async function regenerateToken(
  db: DbOrTx,
  authorization: Authorization,
  now: number,
): Promise<{ authorization: Authorization; token: string }> {
  const token = newToken()
  const changed = { token_hash: hashOf(token), token_hint: hintOf(token), updated_at: now }
  await db.updateTable('authorizations').set(changed).where('id', '=', authorization.id).execute()
  return { authorization: { ...authorization, ...changed }, token }
}

/** The token is refused from now on. */
export const revokeAuthorization = (db: DbOrTx, authorization: Authorization): Promise<unknown> =>
  db.deleteFrom('authorizations').where('id', '=', authorization.id).execute()

/** Makes this token the only one of the account with this description. */
export async function installToken(
  tx: Tx,
  account: Account,
  { token, description, now }: { token: string; description: string; now: number },
): Promise<void> {
  const row = { token_hash: hashOf(token), token_hint: hintOf(token), updated_at: now }
  const same = await tx
    .selectFrom('authorizations')
    .select('id')
    .where('token_hash', '=', row.token_hash)
    .where('account_id', '=', account.id)
    .executeTakeFirst()
  await tx
    .deleteFrom('authorizations')
    .where('account_id', '=', account.id)
    .where('description', '=', description)
    .where('id', '!=', same?.id ?? '')
    .execute()
  if (same) return
  const rest = { account_id: account.id, description, scope: '["global"]', expires_at: null, created_at: now }
  await tx
    .insertInto('authorizations')
    .values({ id: randomUUID(), ...rest, ...row })
    .execute()
}

const newToken = (): string => `SLUICE-${randomBytes(24).toString('hex')}`
