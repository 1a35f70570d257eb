import { z } from 'zod'
import { enact } from '../account/activity.ts'
import { setAcm } from '../app/app.ts'
import type { Daemon } from '../daemon.ts'
import { invalid } from '../errors.ts'
import { refreshFailed } from '../route/acm-domain.ts'
import { serializeApp } from './app.ts'
import { body } from './body.ts'
import { type Routes, withApp } from './context.ts'

const Refresh = z.object({ acm_refresh: z.boolean().optional() })

/** Automated Certificate Management (https://devcenter.heroku.com/articles/automated-certificate-management). */
export function acmRoutes(routes: Routes, d: Daemon): void {
  routes.post(
    '/apps/:app/acm',
    withApp(d, 'operate', async (app, ctx) => {
      requireAuthority(d)
      return serializeApp(d, ctx, await setAcm(d, app, ctx.state.account, true))
    }),
  )
  routes.patch(
    '/apps/:app/acm',
    withApp(d, 'operate', async (app, ctx) => {
      await body(ctx, Refresh)
      requireAuthority(d)
      if (app.acm === 0)
        throw invalid(`Automated Certificate Management is off for ${app.name}: heroku certs:auto:enable.`)
      const doing = { app, by: ctx.state.account, text: 'Refresh Automated Certificate Management' }
      await enact(d, doing, (tx) => refreshFailed(tx, app, d.clock.now()))
      d.acm.wake()
      return serializeApp(d, ctx, app)
    }),
  )
  routes.delete(
    '/apps/:app/acm',
    withApp(d, 'operate', async (app, ctx) => serializeApp(d, ctx, await setAcm(d, app, ctx.state.account, false))),
  )
}

function requireAuthority({ config }: Daemon): void {
  if (config.acme === undefined)
    throw invalid(
      'Automated Certificate Management is not available here: this platform asks no public authority for certificates. ' +
        'Whoever runs it can choose one with SLUICE_ACME_DIRECTORY. Add your own with `heroku certs:add CRT KEY`.',
    )
}
