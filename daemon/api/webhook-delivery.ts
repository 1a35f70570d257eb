import type { AppWebhookDelivery as Body } from '@heroku-cli/schema'
import type { Daemon } from '../daemon.ts'
import { notFound } from '../errors.ts'
import { type Attempt, type DeliveryView, findDelivery, listDeliveries } from '../webhook/delivery.ts'
import { type Context, param, type Routes, withApp } from './context.ts'
import { page, rowKeys } from './page.ts'
import { time, timeOrNull } from './wire.ts'

const keys = { seq: ({ seq }: DeliveryView) => seq, ...rowKeys }

export function webhookDeliveryRoutes(routes: Routes, d: Daemon): void {
  routes.get(
    '/apps/:app/webhook-deliveries',
    withApp(d, 'view', async (app, ctx) => {
      return page(ctx, await listDeliveries(d.db, app.id, statusOf(ctx)), keys).map(serialize)
    }),
  )
  routes.get(
    '/apps/:app/webhook-deliveries/:delivery',
    withApp(d, 'view', async (app, ctx) => {
      const found = await findDelivery(d.db, app.id, param(ctx, 'delivery'))
      if (!found) throw notFound('webhook delivery', 'webhook_delivery')
      return serialize(found)
    }),
  )
}

/** `?eq[status]=failed` is what `webhooks:deliveries --status failed` asks for. */
function statusOf(ctx: Context): string | undefined {
  const status = ctx.query['eq[status]']
  return typeof status === 'string' ? status : undefined
}

function serialize(delivery: DeliveryView) {
  const attempt: Attempt | null = delivery.last_attempt === null ? null : JSON.parse(delivery.last_attempt)
  return {
    id: delivery.id,
    event: { id: delivery.event_id, include: delivery.include },
    webhook: { id: delivery.webhook_id, level: delivery.level },
    status: delivery.status,
    num_attempts: delivery.num_attempts,
    next_attempt_at: timeOrNull(delivery.next_attempt_at),
    last_attempt: attempt && {
      ...attempt,
      created_at: time(attempt.created_at),
      updated_at: time(attempt.updated_at),
    },
    created_at: time(delivery.created_at),
    updated_at: time(delivery.updated_at),
  } satisfies Body
}
