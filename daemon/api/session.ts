import { record } from '../account/activity.ts'
import { endSession, findSession, listSessions, type Session } from '../account/session.ts'
import type { Daemon } from '../daemon.ts'
import { decide } from '../store/database.ts'
import { param, type Routes, reply } from './context.ts'
import { page, rowKeys } from './page.ts'
import { secondsUntil, time } from './wire.ts'

/** Logins: what `heroku sessions` lists and `heroku logout` ends. */
export function sessionRoutes(routes: Routes, d: Daemon): void {
  routes.get(
    '/oauth/sessions',
    reply(async (ctx) => {
      const now = d.clock.now()
      return page(ctx, await listSessions(d.db, ctx.state.account, now), rowKeys).map((one) => serialize(one, now))
    }),
  )
  routes.delete(
    '/oauth/sessions/:session',
    reply((ctx) =>
      decide(d.db, async (tx) => {
        const { account, session: own } = ctx.state
        const now = d.clock.now()
        const session = await findSession(tx, account, { id: param(ctx, 'session'), own, now })
        await endSession(tx, session)
        await record(tx, account, { app: null, text: `Logged out: ${session.description}`, now })
        return serialize(session, now)
      }),
    ),
  )
}

const serialize = (session: Session, now: number) => ({
  id: session.id,
  description: session.description,
  expires_in: secondsUntil(session.expires_at, now),
  created_at: time(session.created_at),
  updated_at: time(session.updated_at),
})
