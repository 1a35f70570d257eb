import { requireAdministrator } from '../account/account.ts'
import type { Daemon } from '../daemon.ts'
import { notFound, UserError } from '../errors.ts'
import type { RouterState } from '../route/routers.ts'
import { type Context, param, type Routes, reply } from './context.ts'
import { time } from './wire.ts'

/** Sluice's own, for administrators: the routers that this platform has, or had and cannot reach. */
export function routerRoutes(routes: Routes, d: Daemon): void {
  routes.get(
    '/sluice/routers',
    reply(async (ctx) => {
      await requireAdmin(d, ctx)
      return d.routers.list().map(serialize)
    }),
  )
  routes.delete(
    '/sluice/routers/:router',
    reply(async (ctx) => {
      await requireAdmin(d, ctx)
      const id = param(ctx, 'router')
      const router = d.routers.list().find((one) => one.id === id)
      switch (d.routers.forget(id)) {
        case 'connected':
          throw new UserError('conflict', 'That router is connected. Stop it first, then it can be forgotten.')
        case 'unknown':
          throw notFound('router', 'router')
        case 'forgotten':
          return router && serialize(router)
      }
    }),
  )
}

const requireAdmin = ({ db }: Daemon, ctx: Context): Promise<void> => requireAdministrator(db, ctx.state.account)

const serialize = (router: RouterState) => ({
  id: router.id,
  host: router.host,
  address: router.address,
  state: router.state,
  workers: router.workers,
  applied_version: router.applied,
  behind: router.behind,
  first_seen_at: time(router.firstSeen),
  last_seen_at: time(router.lastSeen),
})
