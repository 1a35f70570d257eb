import type { Walk } from './walk.ts'
import type { WebhookRig } from './webhook-rig.ts'

export async function walkWebhooks({ get, all }: Walk, { startReceiver, settled }: WebhookRig): Promise<void> {
  const { url } = await startReceiver()
  const wish = { include: ['api:release'], level: 'sync', url }
  const webhook = `/apps/walk/webhooks/${(await get('POST', '/apps/walk/webhooks', wish)).id}`
  await all([['PATCH', '/apps/walk/config-vars', { HOOKED: 'yes' }]])
  await settled('walk', 'succeeded')
  const [delivery] = await get('GET', '/apps/walk/webhook-deliveries')
  const [event] = await get('GET', '/apps/walk/webhook-events')
  await all([
    ['GET', '/apps/walk/webhooks'],
    ['GET', webhook],
    ['PATCH', webhook, { level: 'notify' }],
    ['GET', `/apps/walk/webhook-deliveries/${delivery.id}`],
    ['GET', `/apps/walk/webhook-events/${event.id}`],
    ['DELETE', webhook],
  ])
}
