import { messageOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Db } from '../store/database.ts'
import type { Entity, Event } from './event.ts'

/** The API's JSON of a thing that was noted in an event. */
export type Represent = (include: Entity, app: string, subject: unknown) => Promise<object>

/**
 * What a webhook is told of an event, in Heroku's form (https://devcenter.heroku.com/articles/webhook-events). A thing that is gone, so
 * that the API has no JSON of it any more, is told by its id alone.
 */
export async function payloadOf({ db, log, represent }: { db: Db; log: Log; represent: Represent }, event: Event) {
  const include = event.include as Entity
  const read = async (text: string): Promise<object> => {
    const subject = JSON.parse(text)
    try {
      return await represent(include, event.app_id, subject)
    } catch (error) {
      log.warn('an event is told by its id alone', { event: event.id, include, error: messageOf(error) })
      return { id: subject.id }
    }
  }
  const data = await read(event.subject)
  return {
    id: event.id,
    action: event.action,
    actor: await actorOf(db, event),
    created_at: iso(event.created_at),
    data,
    previous_data: event.previous === null ? {} : changed(await read(event.previous), data),
    published_at: iso(event.created_at),
    resource: include.replace('api:', ''),
    sequence: null,
    updated_at: iso(event.updated_at),
    version: 'application/vnd.heroku+json; version=3',
  }
}

const iso = (ms: number): string => new Date(ms).toISOString()

/** What the platform does by itself counts as done by the app's owner. */
async function actorOf(db: Db, { actor, app_id }: Event): Promise<{ id: string; email: string } | null> {
  const query = db.selectFrom('accounts').select(['accounts.id', 'accounts.email'])
  const account =
    actor === null
      ? query.innerJoin('apps', 'apps.owner_id', 'accounts.id').where('apps.id', '=', app_id)
      : query.where('accounts.id', '=', actor)
  return (await account.executeTakeFirst()) ?? null
}

/** The values that are others now. */
export const changed = (before: object, after: object): object =>
  Object.fromEntries(
    Object.entries(before).filter(
      ([key, value]) =>
        key !== 'updated_at' && JSON.stringify(value) !== JSON.stringify((after as Record<string, unknown>)[key]),
    ),
  )
