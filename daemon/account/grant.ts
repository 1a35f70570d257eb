import { createHash, randomUUID } from 'node:crypto'
import type { Selectable } from 'kysely'
import type { Daemon } from '../daemon.ts'
import { limits } from '../limits.ts'
import { decide, type Tx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import type { Account } from './account.ts'
import { record } from './activity.ts'
import {
  type Authorization,
  authorizationOfRefresh,
  createAuthorization,
  issueTokens,
  revokeAuthorization,
  revokeOldest,
  type Tokens,
} from './authorization.ts'
import type { Client } from './client.ts'
import type { Scope } from './scope.ts'

/**
 * A code that a client changes into tokens (RFC 6749, 4.1): once, within five minutes.
 *
 *     made (grantAuthorization) --> used (redeemCode) --> shown again: the authorization is revoked
 *         \--> expired: refused, and removed with its authorization by the next one
 */
export type Grant = Selectable<Schema['grants']>

/** An account lets a client act for it. The authorization has no token until the code is redeemed. */
export const grantAuthorization = (
  d: Daemon,
  account: Account,
  { client, scope, description }: { client: Client; scope: Scope[]; description: string },
): Promise<{ authorization: Authorization; grant: Grant; code: string }> =>
  decide(d.db, async (tx) => {
    const now = d.clock.now()
    await forgetExpired(tx, now)
    await revokeOldest(tx, account, client)
    const wish = { description, scope, expiresIn: null, client: client.id, now }
    const { authorization } = await createAuthorization(tx, account, wish)
    const code = randomUUID()
    const grant: Grant = {
      id: randomUUID(),
      authorization_id: authorization.id,
      code_hash: hashOf(code),
      expires_at: now + limits.grant,
      used_at: null,
    }
    await tx.insertInto('grants').values(grant).execute()
    await record(tx, account, {
      app: null,
      text: `Authorized the OAuth client ${client.name}: ${scope.join(', ')}`,
      now,
    })
    return { authorization, grant, code }
  })

/** The tokens for a code, or null when it is not one, not the client's, too late, or was used before. */
export const redeemCode = (d: Daemon, client: Client, code: string): Promise<Tokens | null> =>
  decide(d.db, async (tx) => {
    const now = d.clock.now()
    const found = await tx
      .selectFrom('grants')
      .innerJoin('authorizations', 'authorizations.id', 'grants.authorization_id')
      .selectAll('authorizations')
      .select(['used_at', 'grants.expires_at as code_expires_at'])
      .where('code_hash', '=', hashOf(code))
      .where('client_id', '=', client.id)
      .executeTakeFirst()
    if (!found) return null
    const { used_at, code_expires_at, ...authorization } = found
    if (used_at !== null) {
      // whoever has used it may not be whom it was for (RFC 6749, 4.1.2)
      await revokeAuthorization(tx, authorization)
      d.log.warn('an OAuth code was shown twice', { authorization: authorization.id, client: client.id })
      return null
    }
    if (code_expires_at <= now) return null
    await tx.updateTable('grants').set({ used_at: now }).where('authorization_id', '=', authorization.id).execute()
    return issueTokens(tx, authorization, now)
  })

/** New tokens for a refresh token, or null when it is not one of the client's. The refresh token stays, as on Heroku. */
export const refreshTokens = (d: Daemon, client: Client, refreshToken: string): Promise<Tokens | null> =>
  decide(d.db, async (tx) => {
    const authorization = await authorizationOfRefresh(tx, refreshToken)
    if (authorization?.client_id !== client.id) return null
    return issueTokens(tx, authorization, d.clock.now(), refreshToken)
  })

async function forgetExpired(tx: Tx, now: number): Promise<void> {
  const late = await tx
    .selectFrom('authorizations')
    .innerJoin('grants', 'grants.authorization_id', 'authorizations.id')
    .selectAll('authorizations')
    .where('grants.used_at', 'is', null)
    .where('grants.expires_at', '<=', now)
    .execute()
  for (const authorization of late) await revokeAuthorization(tx, authorization)
}

const hashOf = (code: string): string => createHash('sha256').update(code).digest('hex')
