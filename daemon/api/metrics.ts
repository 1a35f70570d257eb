import type { Middleware } from 'koa'
import { requireAdministrator } from '../account/account.ts'
import type { Daemon } from '../daemon.ts'
import { isScrapeToken } from '../watch/scrape.ts'
import { tokenOf } from './authentication.ts'
import type { Context, Routes, State } from './context.ts'

const PATH = '/metrics'

/** What Prometheus asks: for an administrator, or for who has the token that is made for it, which is no account's. */
export function metricsRoutes(routes: Routes, d: Daemon): void {
  routes.get(PATH, async (ctx) => {
    await requireAdministrator(d.db, ctx.state.account)
    await show(d, ctx)
  })
}

export const scrape =
  (d: Daemon): Middleware<State> =>
  async (ctx, next) => {
    const asked = ctx.path === PATH && (ctx.method === 'GET' || ctx.method === 'HEAD')
    if (!asked || !(await isScrapeToken(d.config.data, tokenOf(ctx.get('Authorization')) ?? ''))) return next()
    ctx.state.route = PATH
    await show(d, ctx)
  }

async function show(d: Daemon, ctx: Pick<Context, 'type' | 'body'>): Promise<void> {
  ctx.type = 'text/plain; version=0.0.4; charset=utf-8'
  ctx.body = await d.watch.metrics()
}
