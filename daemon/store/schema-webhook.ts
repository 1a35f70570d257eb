import type { Generated } from 'kysely'

/** Webhooks outlive their app as long as something is to be delivered: that it was destroyed. */
export interface Webhooks {
  id: string
  app_id: string
  /** Sealed, because it may hold credentials. */
  url: string
  /** JSON list of entities such as `api:release`. */
  include: string
  level: 'notify' | 'sync'
  /** Sealed. */
  secret: string
  /** Sealed value of the header. */
  authorization: string | null
  created_at: number
  updated_at: number
}

/** What happened to an app that has a webhook for it. */
export interface WebhookEvents {
  seq: Generated<number>
  id: string
  app_id: string
  include: string
  action: 'create' | 'update' | 'destroy'
  /** Id of the account; null for what the platform does by itself. */
  actor: string | null
  /** JSON: the thing as it was then, and before, for the API's serializers. */
  subject: string
  previous: string | null
  /** JSON; null until it is made, at once after the change. */
  payload: string | null
  created_at: number
  updated_at: number
}

export interface WebhookDeliveries {
  seq: Generated<number>
  id: string
  webhook_id: string
  event_id: string
  app_id: string
  /** The state machine is drawn in webhook/delivery.ts. */
  status: 'pending' | 'retrying' | 'succeeded' | 'failed'
  num_attempts: number
  next_attempt_at: number | null
  /** JSON. */
  last_attempt: string | null
  created_at: number
  updated_at: number
}
