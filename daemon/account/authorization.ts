import { createHash, randomBytes, randomUUID } from 'node:crypto'
import type { Selectable } from 'kysely'
import { invalid, notFound } from '../errors.ts'
import { limits } from '../limits.ts'
import type { DbOrTx, Tx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import type { Account } from './account.ts'
import { type Scope, scopesOf } from './scope.ts'

/** A token and what it is for. The token itself is known only to whoever got it: the row keeps its SHA-256. */
export type Authorization = Selectable<Schema['authorizations']>

const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex')

/** Enough to tell tokens apart; the middle is as the official CLI expects it of a redacted token. */
const hintOf = (token: string): string => `${token.slice(0, 9)}**********${token.slice(-4)}`

/** Whoever shows a token: whom it stands for, and what it may do. */
export interface Bearer {
  account: Account
  scopes: Scope[]
  /** The session that the token came from. */
  session: string | null
}

/** Whose unexpired token this is. Tokens are random, so that finding one by its hash tells nothing by its timing. */
export async function bearerOf(db: DbOrTx, token: string, now = Date.now()): Promise<Bearer | null> {
  if (token.length === 0 || token.length > 512) return null
  const found = await db
    .selectFrom('authorizations')
    .innerJoin('accounts', 'accounts.id', 'authorizations.account_id')
    .selectAll('accounts')
    .select(['scope', 'session_id'])
    .where('token_hash', '=', hashOf(token))
    .where('removed_at', 'is', null)
    .where((or) => or.or([or('expires_at', 'is', null), or('expires_at', '>', now)]))
    .executeTakeFirst()
  if (!found) return null
  const { scope, session_id, ...account } = found
  return { account, scopes: scopesOf({ scope }), session: session_id }
}

/** The account whose unexpired token this is. */
export const authenticate = async (db: DbOrTx, token: string, now = Date.now()): Promise<Account | null> =>
  (await bearerOf(db, token, now))?.account ?? null

export const isToken = (authorization: Authorization, token: string): boolean =>
  authorization.token_hash === hashOf(token)

/** An authorization with the client that it is for and the code that waits to be redeemed. */
export type AuthorizationView = Authorization & {
  client: { id: string; name: string; redirect_uri: string } | null
  grant: { id: string; expires_at: number } | null
}

export async function listAuthorizations(db: DbOrTx, account: { id: string }): Promise<AuthorizationView[]> {
  const rows = await db
    .selectFrom('authorizations')
    .leftJoin('clients', 'clients.id', 'authorizations.client_id')
    .leftJoin('grants', (join) =>
      join.onRef('grants.authorization_id', '=', 'authorizations.id').on('grants.used_at', 'is', null),
    )
    .selectAll('authorizations')
    .select(['clients.name', 'clients.redirect_uri', 'grants.id as grant_id', 'grants.expires_at as grant_expires_at'])
    .where('authorizations.account_id', '=', account.id)
    .orderBy('authorizations.created_at')
    .execute()
  return rows.map(({ name, redirect_uri, grant_id, grant_expires_at, ...row }) => ({
    ...row,
    client: row.client_id && name && redirect_uri ? { id: row.client_id, name, redirect_uri } : null,
    grant: grant_id && grant_expires_at ? { id: grant_id, expires_at: grant_expires_at } : null,
  }))
}

/** By id; `~` is the one that the request came with. */
export async function findAuthorization(
  db: DbOrTx,
  account: { id: string },
  id: string,
  token: string,
): Promise<AuthorizationView> {
  const authorization = (await listAuthorizations(db, account)).find((one) =>
    id === '~' ? isToken(one, token) : one.id === id,
  )
  if (!authorization) throw notFound('authorization', 'authorization')
  return authorization
}

export const authorizationOfRefresh = (db: DbOrTx, refreshToken: string): Promise<Authorization | undefined> =>
  db.selectFrom('authorizations').selectAll().where('refresh_hash', '=', hashOf(refreshToken)).executeTakeFirst()

export interface Request {
  description: string
  scope: string[]
  /** Seconds, or null for never. */
  expiresIn: number | null
  session?: string
  client?: string
  now: number
}

/** Makes an authorization with a new token, which is returned here and never again. Those of the account that have expired go. */
export async function createAuthorization(
  db: DbOrTx,
  account: { id: string },
  { description, scope, expiresIn, session, client, now }: Request,
): Promise<{ authorization: Authorization; token: string }> {
  await db
    .deleteFrom('authorizations')
    .where('account_id', '=', account.id)
    .where('expires_at', '<=', now)
    .where('refresh_hash', 'is', null)
    .execute()
  const { count } = await db
    .selectFrom('authorizations')
    .select((select) => select.fn.countAll<number>().as('count'))
    .where('account_id', '=', account.id)
    .executeTakeFirstOrThrow()
  if (count >= limits.tokensPerAccount)
    throw invalid(`An account has at most ${limits.tokensPerAccount} tokens. Revoke those that are not used first.`)
  const token = newToken()
  const authorization: Authorization = {
    id: randomUUID(),
    account_id: account.id,
    session_id: session ?? null,
    client_id: client ?? null,
    description,
    token_hash: hashOf(token),
    token_hint: hintOf(token),
    scope: JSON.stringify(scope),
    expires_at: expiresIn === null ? null : now + expiresIn * 1000,
    refresh_hash: null,
    created_at: now,
    updated_at: now,
  }
  await db.insertInto('authorizations').values(authorization).execute()
  return { authorization, token }
}

/** What somebody may change of an authorization. */
export async function changeAuthorization<T extends Authorization>(
  db: DbOrTx,
  authorization: T,
  { now, ...fields }: Partial<Pick<Authorization, 'description' | 'client_id'>> & { now: number },
): Promise<T> {
  const changed = { ...fields, updated_at: now }
  await db.updateTable('authorizations').set(changed).where('id', '=', authorization.id).execute()
  return { ...authorization, ...changed }
}

/** Gives the authorization a new token; the old one is refused from now on. The time of expiry stays. */
export async function regenerateToken<T extends Authorization>(
  db: DbOrTx,
  authorization: T,
  now: number,
): Promise<{ authorization: T; token: string }> {
  const token = newToken()
  const changed = { token_hash: hashOf(token), token_hint: hintOf(token), updated_at: now }
  await db.updateTable('authorizations').set(changed).where('id', '=', authorization.id).execute()
  return { authorization: { ...authorization, ...changed }, token }
}

/** What a client gets. */
export interface Tokens {
  authorization: Authorization
  token: string
  refreshToken: string
}

/** A token for a client, good for eight hours, and the one that gets it the next: a new one unless `refreshToken` is still good. */
export async function issueTokens(
  tx: Tx,
  authorization: Authorization,
  now: number,
  refreshToken = newToken(),
): Promise<Tokens> {
  const changed = { expires_at: now + limits.clientToken, refresh_hash: hashOf(refreshToken) }
  await tx.updateTable('authorizations').set(changed).where('id', '=', authorization.id).execute()
  return { ...(await regenerateToken(tx, { ...authorization, ...changed }, now)), refreshToken }
}

/** Part of a new authorization for a client: leaves room for it. */
export async function revokeOldest(tx: Tx, account: { id: string }, client: { id: string }): Promise<void> {
  const old = tx
    .selectFrom('authorizations')
    .select('id')
    .where('account_id', '=', account.id)
    .where('client_id', '=', client.id)
    .orderBy('created_at', 'desc')
    .limit(limits.tokensPerAccount)
    .offset(limits.authorizationsPerClient - 1)
  await tx.deleteFrom('authorizations').where('id', 'in', old).execute()
}

/** Part of the departure of an account. */
export const revokeAll = (tx: Tx, account: { id: string }): Promise<unknown> =>
  tx.deleteFrom('authorizations').where('account_id', '=', account.id).execute()

/** The token is refused from now on. */
export const revokeAuthorization = (db: DbOrTx, authorization: Authorization): Promise<unknown> =>
  db.deleteFrom('authorizations').where('id', '=', authorization.id).execute()

/** Deletes some of those that ended before, but for those that a client can still refresh; how many. */
export async function forgetAuthorizations(db: DbOrTx, before: number, most: number): Promise<number> {
  const ended = db
    .selectFrom('authorizations')
    .select('id')
    .where('expires_at', '<', before)
    .where('refresh_hash', 'is', null)
    .limit(most)
  const { numDeletedRows } = await db.deleteFrom('authorizations').where('id', 'in', ended).executeTakeFirst()
  return Number(numDeletedRows)
}

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
