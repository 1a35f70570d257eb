import type { AppFeature as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import type { App } from '../app/app.ts'
import { listFeatures, type Setting, setFeature } from '../app/feature.ts'
import type { Daemon } from '../daemon.ts'
import { notFound } from '../errors.ts'
import { body } from './body.ts'
import { type Context, param, type Routes, withApp } from './context.ts'
import { page } from './page.ts'
import { idOf, time } from './wire.ts'

const Update = z.object({ enabled: z.boolean() })

export function appFeatureRoutes(routes: Routes, d: Daemon): void {
  const find = async (app: App, ctx: Context): Promise<Setting> => {
    const wanted = param(ctx, 'feature')
    const found = (await listFeatures(d.db, app)).find(
      ({ name }) => name === wanted || idOf('feature', name) === wanted,
    )
    if (!found) throw notFound('feature', 'app_feature')
    return found
  }
  routes.get(
    '/apps/:app/features',
    withApp(d, 'view', async (app, ctx) => {
      const all = (await listFeatures(d.db, app)).map((setting) => serialize(app, setting))
      return page(ctx, all, { name: ({ name }) => name, id: ({ id }) => id })
    }),
  )
  routes.get(
    '/apps/:app/features/:feature',
    withApp(d, 'view', async (app, ctx) => serialize(app, await find(app, ctx))),
  )
  routes.patch(
    '/apps/:app/features/:feature',
    withApp(d, 'operate', async (app, ctx) => {
      const { name } = await find(app, ctx)
      const { enabled } = await body(ctx, Update)
      return serialize(app, await setFeature(d, app, ctx.state.account, { name, enabled }))
    }),
  )
}

const serialize = (app: App, { name, title, description, state, enabled, updated_at }: Setting) =>
  ({
    id: idOf('feature', name),
    name,
    display_name: title,
    description,
    doc_url: 'https://devcenter.heroku.com/articles/app-features',
    enabled,
    state,
    feedback_email: '',
    created_at: time(app.created_at),
    updated_at: time(updated_at),
  }) satisfies Body
