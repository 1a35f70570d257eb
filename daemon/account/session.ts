import { randomUUID } from 'node:crypto'
import type { Selectable } from 'kysely'
import { notFound } from '../errors.ts'
import type { DbOrTx, Tx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'

/** What a login began. Ending it ends the authorization that it came with. */
export type Session = Selectable<Schema['sessions']>

interface Wish {
  description: string
  expiresAt: number | null
  now: number
}

/** Part of a login. Those of the account that have expired go. */
export async function beginSession(tx: Tx, account: { id: string }, wish: Wish): Promise<Session> {
  const { description, expiresAt, now } = wish
  await tx.deleteFrom('sessions').where('account_id', '=', account.id).where('expires_at', '<=', now).execute()
  const times = { expires_at: expiresAt, created_at: now, updated_at: now }
  const session: Session = { id: randomUUID(), account_id: account.id, description, ...times }
  await tx.insertInto('sessions').values(session).execute()
  return session
}

export const listSessions = (db: DbOrTx, account: { id: string }, now: number): Promise<Session[]> =>
  db
    .selectFrom('sessions')
    .selectAll()
    .where('account_id', '=', account.id)
    .where((or) => or.or([or('expires_at', 'is', null), or('expires_at', '>', now)]))
    .orderBy('created_at')
    .execute()

/** By id; `~` is `own`, the one that the request's token came from. */
export async function findSession(
  db: DbOrTx,
  account: { id: string },
  { id, own, now }: { id: string; own: string | null; now: number },
): Promise<Session> {
  const wanted = id === '~' ? own : id
  const session = (await listSessions(db, account, now)).find((one) => one.id === wanted)
  if (!session) throw notFound('session', 'session')
  return session
}

/** Its token is refused from now on. */
export const endSession = (db: DbOrTx, session: { id: string }): Promise<unknown> =>
  db.deleteFrom('sessions').where('id', '=', session.id).execute()

/** All of the account, but for one that may stay. */
export const endSessions = (tx: Tx, account: { id: string }, but: string | null = null): Promise<unknown> =>
  tx
    .deleteFrom('sessions')
    .where('account_id', '=', account.id)
    .where('id', '!=', but ?? '')
    .execute()
