import type { Selectable } from 'kysely'
import type { Daemon } from '../daemon.ts'
import { type DbOrTx, decide, type Tx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import type { Account } from './account.ts'

/** The audit trail: who did what, when, from where. It outlives the app. */
export type Activity = Selectable<Schema['activities']>

/** Who acts, and from which address. */
export type Actor = Pick<Account, 'id' | 'email' | 'from'>

export interface Deed {
  /** Null for what an account did to accounts. */
  app: string | null
  /** In the words of the app's log, without names of config vars' values or other secrets. */
  text: string
  now: number
}

export interface Part {
  /** Of one app, or of all and of accounts. */
  app: string | undefined
  /** Bounds in the order, or two in whichever order. */
  from: number | undefined
  to: number | undefined
  order: 'asc' | 'desc'
  most: number
}

export function listActivities(db: DbOrTx, { app, from, to, order, most }: Part): Promise<Activity[]> {
  const swapped = from !== undefined && to !== undefined ? from > to : order === 'desc'
  const [low, high] = swapped ? [to, from] : [from, to]
  let rows = db.selectFrom('activities').selectAll().orderBy('id', order).limit(most)
  if (app !== undefined) rows = rows.where('app_id', '=', app)
  if (low !== undefined) rows = rows.where('id', '>=', low)
  if (high !== undefined) rows = rows.where('id', '<=', high)
  return rows.execute()
}

/** Keeps it, as part of the caller's decision. */
export const record = (db: DbOrTx, by: Actor, { app, text, now }: Deed): Promise<unknown> =>
  db
    .insertInto('activities')
    .values({ app_id: app, account_id: by.id, email: by.email, origin: by.from ?? null, text, created_at: now })
    .execute()

/** What somebody does to an app, in the words of its log. */
interface Doing<Done> {
  app: { id: string }
  by: Actor
  text: string | ((done: Done) => string)
}

/**
 * Does it, with who did it on record, as one decision: a change is never there without its record, and what writes the record cannot fail when
 * the change is made. Then the app's log tells it.
 */
export async function enact<Done>(
  d: Daemon,
  { app, by, text }: Doing<Done>,
  work: (tx: Tx) => Promise<Done>,
): Promise<Done> {
  const { done, words } = await decide(d.db, async (tx) => {
    const done = await work(tx)
    const words = typeof text === 'string' ? text : text(done)
    await record(tx, by, { app: app.id, text: words, now: d.clock.now() })
    return { done, words }
  })
  tell(d, app, by, words)
  return done
}

/** Tells the app's log what was done, as Heroku does: `app[api]: TEXT by user EMAIL`. */
export function tell(d: Daemon, app: { id: string }, { email }: Actor, text: string): void {
  d.logs.write(app.id, { at: d.clock.now(), source: 'app', dyno: 'api', text: `${text} by user ${email}` })
}

/** Deletes some of those that are older; how many. */
export async function forgetActivities(db: DbOrTx, before: number, most: number): Promise<number> {
  const old = db.selectFrom('activities').select('id').where('created_at', '<', before).limit(most)
  const { numDeletedRows } = await db.deleteFrom('activities').where('id', 'in', old).executeTakeFirst()
  return Number(numDeletedRows)
}
