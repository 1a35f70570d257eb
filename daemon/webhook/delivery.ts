import { randomUUID } from 'node:crypto'
import { type Selectable, sql } from 'kysely'
import { limits } from '../limits.ts'
import type { DbOrTx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'

/**
 * One event on its way to one webhook.
 *
 *   (note) --> pending -- 2xx --> succeeded
 *                |  |                 ^
 *   level notify,|  | level sync      | 2xx
 *       no 2xx   |  v                 |
 *                | retrying ----------+     tried again with growing pauses
 *                v  | 72 h after the event
 *              failed <-
 *
 * pending, retrying: to be attempted, one after the other for each webhook, in the order of the events, by dispatch.ts. A delivery whose
 * answer a crash has cut off is attempted again: at least once, not exactly once. succeeded, failed: final.
 */
export type Delivery = Selectable<Schema['webhook_deliveries']>

export interface Attempt {
  id: string
  /** Status of the answer; null when there was none. */
  code: number | null
  /** Why there was none, in words. */
  error_class: string | null
  status: 'succeeded' | 'failed'
  created_at: number
  updated_at: number
}

/** To be attempted. Spelled out, not as parameters: so SQLite knows that the index of open deliveries is meant. */
export const isOpen = (table = 'webhook_deliveries') =>
  sql<boolean>`${sql.ref(`${table}.status`)} in ('pending', 'retrying')`

/** Unless so many wait already that the receiver will hardly catch up. */
export async function enqueue(
  db: DbOrTx,
  { webhook, event }: { webhook: string; event: { id: string; app_id: string; created_at: number } },
): Promise<void> {
  const { waiting } = await db
    .selectFrom('webhook_deliveries')
    .select(({ fn }) => fn.countAll<number>().as('waiting'))
    .where('webhook_id', '=', webhook)
    .where(isOpen())
    .executeTakeFirstOrThrow()
  const full = waiting >= limits.webhookQueue
  const lost: Attempt = { id: randomUUID(), code: null, error_class: FULL, status: 'failed', ...at(event.created_at) }
  await db
    .insertInto('webhook_deliveries')
    .values({
      id: randomUUID(),
      webhook_id: webhook,
      event_id: event.id,
      app_id: event.app_id,
      status: full ? 'failed' : 'pending',
      num_attempts: 0,
      next_attempt_at: full ? null : event.created_at,
      last_attempt: full ? JSON.stringify(lost) : null,
      ...at(event.created_at),
    })
    .execute()
}

const FULL = `more than ${limits.webhookQueue} deliveries wait`
const at = (now: number) => ({ created_at: now, updated_at: now })

/** Of each webhook the delivery whose turn it is, if its time has come and its event has a payload: one look into an index a webhook. */
export const dueDeliveries = (db: DbOrTx, now: number): Promise<Delivery[]> =>
  db
    .selectFrom('webhooks')
    .innerJoin('webhook_deliveries', (join) =>
      join.on('webhook_deliveries.seq', '=', ({ selectFrom }) =>
        selectFrom('webhook_deliveries as open')
          .select(({ fn }) => fn.min('open.seq').as('seq'))
          .whereRef('open.webhook_id', '=', 'webhooks.id')
          .where(isOpen('open')),
      ),
    )
    .innerJoin('webhook_events', 'webhook_events.id', 'webhook_deliveries.event_id')
    .selectAll('webhook_deliveries')
    .where('webhook_deliveries.next_attempt_at', '<=', now)
    .where('webhook_events.payload', 'is not', null)
    .orderBy('webhook_deliveries.seq')
    .execute()

/** When the next one that has to wait for its time is due, ms since the epoch. */
export async function nextDelivery(db: DbOrTx, now: number): Promise<number | null> {
  const { next } = await db
    .selectFrom('webhook_deliveries')
    .select(({ fn }) => fn.min('next_attempt_at').as('next'))
    .where(isOpen())
    .where('next_attempt_at', '>', now)
    .executeTakeFirstOrThrow()
  return next
}

/** Keeps how an attempt went, and with it when the next one is. */
export function settle(
  db: DbOrTx,
  delivery: Delivery,
  { attempt, level, chance }: { attempt: Attempt; level: 'notify' | 'sync'; chance: number },
): Promise<unknown> {
  const now = attempt.updated_at
  const next = now + pauseAfter(delivery.num_attempts + 1, chance)
  const again = level === 'sync' && attempt.status === 'failed' && next <= delivery.created_at + limits.webhookLife
  return db
    .updateTable('webhook_deliveries')
    .set({
      status: again ? 'retrying' : attempt.status,
      num_attempts: delivery.num_attempts + 1,
      next_attempt_at: again ? next : null,
      last_attempt: JSON.stringify(attempt),
      updated_at: now,
    })
    .where('id', '=', delivery.id)
    .execute()
}

/** Doubling, the second half of it by chance, so that those that failed together do not come back together. */
export function pauseAfter(attempts: number, chance: number): number {
  const { first, longest } = limits.webhookRetry
  return Math.round((Math.min(longest, first * 2 ** Math.min(attempts - 1, 30)) * (1 + chance)) / 2)
}

/** A delivery as the API shows it. */
export interface DeliveryView extends Delivery {
  include: string
  level: 'notify' | 'sync'
}

/** The newest first. */
export function listDeliveries(db: DbOrTx, app: string, status?: string): Promise<DeliveryView[]> {
  const all = views(db, app)
  const wanted = status === undefined ? all : all.where('webhook_deliveries.status', '=', status as Delivery['status'])
  return wanted.orderBy('webhook_deliveries.seq', 'desc').execute()
}

export const findDelivery = (db: DbOrTx, app: string, id: string): Promise<DeliveryView | undefined> =>
  views(db, app).where('webhook_deliveries.id', '=', id).executeTakeFirst()

/** Those whose event has its payload and can be looked up. */
const views = (db: DbOrTx, app: string) =>
  db
    .selectFrom('webhook_deliveries')
    .innerJoin('webhook_events', 'webhook_events.id', 'webhook_deliveries.event_id')
    .innerJoin('webhooks', 'webhooks.id', 'webhook_deliveries.webhook_id')
    .selectAll('webhook_deliveries')
    .select(['webhook_events.include', 'webhooks.level'])
    .where('webhook_deliveries.app_id', '=', app)
    .where('webhook_events.payload', 'is not', null)
