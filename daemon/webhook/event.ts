import { randomUUID } from 'node:crypto'
import type { Selectable } from 'kysely'
import { limits } from '../limits.ts'
import type { DbOrTx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import { enqueue, isOpen } from './delivery.ts'

/** What happens to apps, and what webhooks may be for (https://devcenter.heroku.com/articles/app-webhooks). */
export const entities = [
  ...(['api:app', 'api:build', 'api:collaborator', 'api:domain', 'api:dyno', 'api:formation', 'api:release'] as const),
  ...(['api:sni-endpoint', 'dyno'] as const),
]
export type Entity = (typeof entities)[number]

/** Subscribed to by clients, although nothing of the kind happens here. */
export const silentEntities = ['api:addon', 'api:addon-attachment', 'api:ssl-endpoint']

export type Event = Selectable<Schema['webhook_events']>

export interface News {
  app: string
  /** Null for what the platform does by itself. */
  account: { id: string } | null
  include: Entity
  action: Event['action']
  /** The thing as it is from now on (or was, when it is destroyed), and was before: what the API makes its JSON of. Nothing secret. */
  subject: object
  previous?: object
  now: number
}

/**
 * Keeps what has happened for the webhooks that want to know, as part of the caller's decision: what was committed is told, also after a
 * crash. Costs an app without webhooks one look into an index.
 */
export async function note(db: DbOrTx, news: News): Promise<void> {
  const wanted = await db.selectFrom('webhooks').select(['id', 'include']).where('app_id', '=', news.app).execute()
  const webhooks = wanted.filter(({ include }) => (JSON.parse(include) as string[]).includes(news.include))
  if (webhooks.length === 0) return
  const { app, account, include, action, subject, previous, now } = news
  const event = {
    id: randomUUID(),
    app_id: app,
    include,
    action,
    actor: account?.id ?? null,
    subject: JSON.stringify(subject),
    previous: previous === undefined ? null : JSON.stringify(previous),
    payload: null,
    created_at: now,
    updated_at: now,
  }
  await db.insertInto('webhook_events').values(event).execute()
  for (const { id } of webhooks) await enqueue(db, { webhook: id, event })
}

/** Those without a payload, the oldest first. */
export const rawEvents = (db: DbOrTx): Promise<Event[]> =>
  db.selectFrom('webhook_events').selectAll().where('payload', 'is', null).orderBy('seq').limit(100).execute()

export const complete = (db: DbOrTx, event: Event, payload: object): Promise<unknown> =>
  db
    .updateTable('webhook_events')
    .set({ payload: JSON.stringify(payload) })
    .where('id', '=', event.id)
    .execute()

export const findEvent = (db: DbOrTx, app: string, id: string): Promise<Event | undefined> =>
  eventsOf(db, app).where('id', '=', id).executeTakeFirst()

/** Those that have a payload, as a query: payloads may be large. */
export const eventsOf = (db: DbOrTx, app: string) =>
  db.selectFrom('webhook_events').selectAll().where('app_id', '=', app).where('payload', 'is not', null)

/** Removes what is old, too much, or of an app that is gone, with its deliveries, unless one of them is still to be made. */
export async function pruneEvents(db: DbOrTx, now: number): Promise<void> {
  const apps = await db.selectFrom('webhook_events').select('app_id').distinct().execute()
  for (const { app_id } of apps) {
    const oldest = now - limits.webhookEventsAge
    const newest = await newestToRemove(db, app_id)
    await db
      .deleteFrom('webhook_events')
      .where('app_id', '=', app_id)
      .where((where) => where.or([where('created_at', '<', oldest), where('seq', '<=', newest)]))
      .where(({ not, exists, selectFrom }) =>
        not(
          exists(
            selectFrom('webhook_deliveries')
              .select('webhook_deliveries.id')
              .whereRef('webhook_deliveries.event_id', '=', 'webhook_events.id')
              .where(isOpen()),
          ),
        ),
      )
      .execute()
  }
}

/** The number up to which an app has more events than are kept; all of an app that is gone. */
async function newestToRemove(db: DbOrTx, app: string): Promise<number> {
  if (!(await db.selectFrom('apps').select('id').where('id', '=', app).executeTakeFirst()))
    return Number.MAX_SAFE_INTEGER
  const event = await db
    .selectFrom('webhook_events')
    .select('seq')
    .where('app_id', '=', app)
    .orderBy('seq', 'desc')
    .offset(limits.webhookEventsKept)
    .limit(1)
    .executeTakeFirst()
  return event?.seq ?? 0
}
