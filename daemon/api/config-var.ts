import { z } from 'zod'
import type { Daemon } from '../daemon.ts'
import { changeConfig, currentConfig } from '../release/config.ts'
import { configOfRelease, findRelease } from '../release/release.ts'
import { body } from './body.ts'
import { param, type Routes, withApp } from './context.ts'

const Changes = z.record(z.string(), z.string().nullable())

export function configVarRoutes(routes: Routes, d: Daemon): void {
  routes.get(
    '/apps/:app/config-vars',
    withApp(d, ['deploy', 'operate'], (app) => currentConfig(d, app.id)),
  )
  routes.patch(
    '/apps/:app/config-vars',
    withApp(d, ['deploy', 'operate'], async (app, ctx) =>
      changeConfig(d, app, ctx.state.account, await body(ctx, Changes)),
    ),
  )
  routes.get(
    '/apps/:app/releases/:release/config-vars',
    withApp(d, ['deploy', 'operate'], async (app, ctx) =>
      configOfRelease(d, (await findRelease(d.db, app.id, param(ctx, 'release'))).id),
    ),
  )
}
