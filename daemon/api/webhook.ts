import { z } from 'zod'
import { tell } from '../account/activity.ts'
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
      const { webhook, secret } = await addWebhook(d, app, await body(ctx, Create))
      await tell(d, app, ctx.state.account, `Add webhook ${webhook.id}`)
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
      const webhook = await updateWebhook(d, app, param(ctx, 'webhook'), await body(ctx, Update))
      await tell(d, app, ctx.state.account, `Update webhook ${webhook.id}`)
      return serialize(app, webhook)
    }),
  )
  routes.delete(
    '/apps/:app/webhooks/:webhook',
    withApp(d, 'operate', async (app, ctx) => {
      const webhook = await removeWebhook(d, app, param(ctx, 'webhook'))
      await tell(d, app, ctx.state.account, `Remove webhook ${webhook.id}`)
      return serialize(app, webhook)
    }),
  )
}

const serialize = (app: App, { created_at, updated_at, ...webhook }: Webhook) => ({
  ...webhook,
  app: { id: app.id, name: app.name },
  created_at: time(created_at),
  updated_at: time(updated_at),
})
