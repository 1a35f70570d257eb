import { limits } from '../limits.ts'
import type { DbOrTx } from '../store/database.ts'
import type { Asking, Order } from './acme-budget.ts'

/** What this authority was asked for in the last week, the oldest first. */
export const ordersOf = (db: DbOrTx, directory: string, now: number): Promise<Order[]> =>
  db
    .selectFrom('acme_orders')
    .selectAll()
    .where('directory', '=', directory)
    .where('created_at', '>', now - limits.acmeWeek)
    .orderBy('id')
    .execute()

/** Noted before it is made, so that a crash does not give room twice. What is older than a week is forgotten. Its id. */
export async function beginOrder(
  db: DbOrTx,
  directory: string,
  { hostname, kind }: Asking,
  now: number,
): Promise<number> {
  await db
    .deleteFrom('acme_orders')
    .where('created_at', '<=', now - limits.acmeWeek)
    .execute()
  const { id } = await db
    .insertInto('acme_orders')
    .values({ directory, hostname, kind, outcome: 'underway', until: null, created_at: now })
    .returning('id')
    .executeTakeFirstOrThrow()
  return id
}

/** Once: a certificate that was given counts as one, whether it could be used or not. */
export const endOrder = (
  db: DbOrTx,
  id: number,
  { outcome, until = null }: { outcome: Order['outcome']; until?: number | null },
): Promise<unknown> =>
  db.updateTable('acme_orders').set({ outcome, until }).where('id', '=', id).where('outcome', '=', 'underway').execute()
