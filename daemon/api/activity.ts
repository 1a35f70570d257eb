import { type Activity, listActivities } from '../account/activity.ts'
import type { Daemon } from '../daemon.ts'
import { UserError } from '../errors.ts'
import { type Context, type Routes, reply, withApp } from './context.ts'
import { page } from './page.ts'
import { parseRange } from './range.ts'
import { time } from './wire.ts'

/** The audit trail, newest first. Not Heroku's, which has one for enterprises only. */
export function activityRoutes(routes: Routes, d: Daemon): void {
  routes.get(
    '/apps/:app/activities',
    withApp(d, 'manage', (app, ctx) => list(d, ctx, app.id)),
  )
  routes.get(
    '/activities',
    reply((ctx) => {
      if (ctx.state.account.admin !== 1) throw new UserError('forbidden', 'Only an administrator may see this.')
      return list(d, ctx, undefined)
    }),
  )
}

async function list(d: Daemon, ctx: Context, app: string | undefined) {
  // newest first, unless the client wants another order
  ctx.req.headers.range ||= 'seq ..; order=desc'
  const { first, last, max, order } = parseRange(ctx.get('Range'), ['seq'])
  const [from, to] = [first, last].map((bound) => (bound ? Number(bound.value) || 0 : undefined))
  // one more than is shown tells that there are more; another is the bound itself where that is left out
  const rows = await listActivities(d.db, { app, from, to, order, most: max + 2 })
  const items = rows.map(({ id, ...row }) => ({ ...row, id: String(id), seq: id }))
  return page(ctx, items, { seq: ({ seq }) => seq }).map(serialize)
}

const serialize = ({
  seq,
  app_id,
  account_id,
  email,
  origin,
  text,
  created_at,
}: Omit<Activity, 'id'> & { seq: number }) => ({
  seq,
  app: app_id === null ? null : { id: app_id },
  user: account_id === '' ? null : { id: account_id, email },
  origin,
  text,
  created_at: time(created_at),
})
