import type { Daemon } from '../daemon.ts'
import type { DbOrTx } from '../store/database.ts'
import type { Account } from './account.ts'

/** Who acts, and from which address. */
export type Actor = Pick<Account, 'id' | 'email' | 'from'>

/** The audit trail: who did what, when, from where. It outlives the app. */
export interface Activity {
  /** Null for what an account did to accounts. */
  app: string | null
  /** In the words of the app's log, without names of config vars' values or other secrets. */
  text: string
  now: number
}

/** Keeps it, as part of the caller's decision. */
export const record = (db: DbOrTx, by: Actor, { app, text, now }: Activity): Promise<unknown> =>
  db
    .insertInto('activities')
    .values({ app_id: app, account_id: by.id, email: by.email, origin: by.from ?? null, text, created_at: now })
    .execute()

/**
 * Keeps it, and tells the app's log as Heroku does: `app[api]: TEXT by user EMAIL`. Await it before the answer: what was acknowledged is
 * on record.
 */
export async function tell(d: Daemon, app: { id: string }, account: Actor, text: string): Promise<void> {
  const now = d.clock.now()
  d.logs.write(app.id, { at: now, source: 'app', dyno: 'api', text: `${text} by user ${account.email}` })
  await record(d.db, account, { app: app.id, text, now })
}
