import { z } from 'zod'
import { appsOf } from '../app/app.ts'
import type { Daemon } from '../daemon.ts'
import { columns, serializeApps } from './app.ts'
import { body } from './body.ts'
import { type Routes, reply } from './context.ts'
import { pageOf } from './page.ts'

const Apps = z.object({ in: z.object({ id: z.array(z.string()).max(1000) }) })

/** Searches too long for a URL. */
export function filterRoutes(routes: Routes, d: Daemon): void {
  routes.post(
    '/filters/apps',
    reply(async (ctx) => {
      const { id } = (await body(ctx, Apps)).in
      const apps = appsOf(d.db, ctx.state.account).where('apps.id', 'in', id)
      return serializeApps(d, ctx, await pageOf(ctx, apps, columns))
    }),
  )
}
