import type { LogDrain as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import type { App } from '../app/app.ts'
import type { Daemon } from '../daemon.ts'
import { addDrain, type Drain, findDrain, listDrains, removeDrain } from '../logs/drain/drain.ts'
import { body } from './body.ts'
import { type Context, created, param, type Routes, withApp } from './context.ts'
import { page, rowKeys } from './page.ts'
import { time } from './wire.ts'

const { created_at, id, updated_at } = rowKeys
const keys = { created_at, id, updated_at }
const Create = z.object({ url: z.string() })

export function logDrainRoutes(routes: Routes, d: Daemon): void {
  routes.get(
    '/apps/:app/log-drains',
    withApp(d, 'operate', async (app, ctx) =>
      page(ctx, await listDrains(d, app), keys).map((one) => serialize(app, one, ctx)),
    ),
  )
  routes.post(
    '/apps/:app/log-drains',
    withApp(d, 'operate', async (app, ctx) => {
      const { url } = await body(ctx, Create)
      return created(ctx, serialize(app, await addDrain(d, app, url), ctx))
    }),
  )
  routes.get(
    '/apps/:app/log-drains/:drain',
    withApp(d, 'operate', async (app, ctx) => serialize(app, await findDrain(d, app, param(ctx, 'drain')), ctx)),
  )
  routes.delete(
    '/apps/:app/log-drains/:drain',
    withApp(d, 'operate', async (app, ctx) => serialize(app, await removeDrain(d, app, param(ctx, 'drain')), ctx)),
  )
}

/** `?extended=true` is what `heroku drains --extended` asks for. */
const serialize = (app: App, { id, url, token, created_at, updated_at }: Drain, ctx: Context) =>
  ({
    id,
    addon: null,
    app: { id: app.id, name: app.name },
    token,
    url,
    created_at: time(created_at),
    updated_at: time(updated_at),
    ...(ctx.query.extended === 'true' ? { extended: { drain_id: id } } : {}),
  }) satisfies Omit<Body, 'addon'> & { addon: null }
