import type { Dyno as Body } from '@heroku-cli/schema'
import type { App } from '../app/app.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound } from '../errors.ts'
import { type DynoView, listDynos } from '../run/dyno.ts'
import { listFormation } from '../run/formation.ts'
import { restart, stop } from '../run/restart.ts'
import { accepted, type Context, param, type Routes, withApp } from './context.ts'
import { time } from './wire.ts'

export function dynoRoutes(routes: Routes, d: Daemon): void {
  const typeOf = async (app: App, ctx: Context): Promise<{ type: string }> => {
    const type = param(ctx, 'type')
    const known = (await listFormation(d.db, app.id)).some((one) => one.type === type)
    if (!known) throw notFound('process type', 'formation')
    return { type }
  }
  routes.get(
    '/apps/:app/dynos',
    withApp(d, async (app) => (await listDynos(d.db, app.id)).map((dyno) => serialize(app, dyno))),
  )
  routes.get(
    '/apps/:app/dynos/:dyno',
    withApp(d, async (app, ctx) => {
      const wanted = param(ctx, 'dyno')
      const dyno = (await listDynos(d.db, app.id)).find(({ id, name }) => id === wanted || name === wanted)
      if (!dyno) throw notFound('dyno', 'dyno')
      return serialize(app, dyno)
    }),
  )
  routes.post(
    '/apps/:app/dynos',
    withApp(d, () => {
      throw invalid('One-off dynos are not supported yet.')
    }),
  )
  routes.delete(
    '/apps/:app/dynos',
    withApp(d, async (app, ctx) => {
      await restart(d, app, {})
      return accepted(ctx)
    }),
  )
  routes.delete(
    '/apps/:app/dynos/:dyno',
    withApp(d, async (app, ctx) => {
      await restart(d, app, { dyno: param(ctx, 'dyno') })
      return accepted(ctx)
    }),
  )
  routes.delete(
    '/apps/:app/formations/:type',
    withApp(d, async (app, ctx) => {
      await restart(d, app, await typeOf(app, ctx))
      return accepted(ctx)
    }),
  )
  routes.post(
    '/apps/:app/dynos/:dyno/actions/stop',
    withApp(d, async (app, ctx) => {
      await stop(d, app, { dyno: param(ctx, 'dyno') })
      return accepted(ctx)
    }),
  )
  routes.post(
    '/apps/:app/formations/:type/actions/stop',
    withApp(d, async (app, ctx) => {
      await stop(d, app, await typeOf(app, ctx))
      return accepted(ctx)
    }),
  )
}

const serialize = (app: App, dyno: DynoView) =>
  ({
    id: dyno.id,
    app: { id: app.id, name: app.name },
    name: dyno.name,
    type: dyno.type,
    command: dyno.command,
    state: dyno.state,
    size: dyno.size,
    attach_url: null,
    release: dyno.release,
    created_at: time(dyno.created_at),
    updated_at: time(dyno.updated_at),
  }) satisfies Body
