import { z } from 'zod'
import type { App } from '../app/app.ts'
import type { Daemon } from '../daemon.ts'
import { limits } from '../limits.ts'
import {
  addWebhook,
  findWebhook,
  listWebhooks,
  removeWebhook,
  updateWebhook,
  type Webhook,
} from '../webhook/webhook.ts'
import { body } from './body.ts'
import { created, param, type Routes, withApp } from './context.ts'
import { page, rowKeys } from './page.ts'
import { time } from './wire.ts'

const { created_at, id, updated_at } = rowKeys
const keys = { created_at, id, updated_at }
const secret = z.string().max(limits.webhookSecret).nullish()
const Create = z.object({
  include: z.array(z.string()).max(100),
  level: z.string(),
  url: z.string(),
  secret,
  authorization: secret,
})
const Update = Create.partial()

export function webhookRoutes(routes: Routes, d: Daemon): void {
  routes.get(
    '/apps/:app/webhooks',
    withApp(d, 'operate', async (app, ctx) =>
      page(ctx, await listWebhooks(d, app), keys).map((one) => serialize(app, one)),
    ),
  )
  routes.post(
    '/apps/:app/webhooks',
    withApp(d, 'operate', async (app, ctx) => {
      const { webhook, secret } = await addWebhook(d, app, ctx.state.account, await body(ctx, Create))
      ctx.set('Heroku-Webhook-Secret', secret)
      return created(ctx, serialize(app, webhook))
    }),
  )
  routes.get(
    '/apps/:app/webhooks/:webhook',
    withApp(d, 'operate', async (app, ctx) => serialize(app, await findWebhook(d, app, param(ctx, 'webhook')))),
  )
  routes.patch(
    '/apps/:app/webhooks/:webhook',
    withApp(d, 'operate', async (app, ctx) => {
      const wish = { ...(await body(ctx, Update)), id: param(ctx, 'webhook') }
      return serialize(app, await updateWebhook(d, app, ctx.state.account, wish))
    }),
  )
  routes.delete(
    '/apps/:app/webhooks/:webhook',
    withApp(d, 'operate', async (app, ctx) => {
      return serialize(app, await removeWebhook(d, app, ctx.state.account, param(ctx, 'webhook')))
    }),
  )
}

const serialize = (app: App, { created_at, updated_at, ...webhook }: Webhook) => ({
  ...webhook,
  app: { id: app.id, name: app.name },
  created_at: time(created_at),
  updated_at: time(updated_at),
})
