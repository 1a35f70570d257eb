import type { AppWebhookEvent as Body } from '@heroku-cli/schema'
import type { Daemon } from '../daemon.ts'
import { notFound } from '../errors.ts'
import { type Event, eventsOf, findEvent } from '../webhook/event.ts'
import { param, type Routes, withApp } from './context.ts'
import { pageOf } from './page.ts'
import { time } from './wire.ts'

const columns = { seq: 'seq', id: 'id', created_at: 'created_at', updated_at: 'updated_at' }

export function webhookEventRoutes(routes: Routes, d: Daemon): void {
  routes.get(
    '/apps/:app/webhook-events',
    withApp(d, 'view', async (app, ctx) => (await pageOf(ctx, eventsOf(d.db, app.id), columns)).map(serialize)),
  )
  routes.get(
    '/apps/:app/webhook-events/:event',
    withApp(d, 'view', async (app, ctx) => {
      const found = await findEvent(d.db, app.id, param(ctx, 'event'))
      if (!found) throw notFound('webhook event', 'webhook_event')
      return serialize(found)
    }),
  )
}

const serialize = ({ id, include, payload, created_at, updated_at }: Event) =>
  ({
    id,
    include,
    payload: JSON.parse(payload ?? '{}'),
    created_at: time(created_at),
    updated_at: time(updated_at),
  }) satisfies Body
