import { ask, list } from '../api.ts'
import { appOf } from '../app.ts'
import { header, json, say, warn } from '../output.ts'
import type { Program } from '../program.ts'
import { appCommand, at } from './command.ts'
import { fields } from './fields.ts'
import { grid } from './table.ts'

const MOST = 1000

interface Delivery {
  id: string
  created_at: string
  status: string
  num_attempts: number
  next_attempt_at: string | null
  event: { id: string; include: string }
  webhook: { id: string; level: string }
  last_attempt: { code: number | null; error_class: string | null } | null
}

interface Event {
  id: string
  created_at: string
  payload: { resource: string; action: string; published_at: string }
}

export function registerDeliveries(program: Program): void {
  appCommand(program, 'webhooks:deliveries', 'list what was sent to the webhooks of an app')
    .option('-s, --status <status>', 'only those of a status')
    .option('--json', 'output in json format', false)
    .action(async (options) => deliveries(await appOf(options), options))
  appCommand(program, 'webhooks:deliveries:info', 'show a delivery')
    .argument('<id>', 'id of the delivery')
    .option('--json', 'output in json format', false)
    .action(async (id, options) => delivery(await appOf(options), id, options.json))
  appCommand(program, 'webhooks:events', 'list the events of an app')
    .option('--json', 'output in json format', false)
    .action(async (options) => events(await appOf(options), options.json))
  appCommand(program, 'webhooks:events:info', 'show an event')
    .argument('<id>', 'id of the event')
    .option('--json', 'output in json format', false)
    .action(async (id, options) => {
      const event = await ask<Event>('GET', at('apps', await appOf(options), 'webhook-events', id))
      if (options.json) return json(event)
      header(event.id)
      fields({ payload: JSON.stringify(event.payload, null, 2) })
    })
}

async function deliveries(app: string, { status, json: asJson }: { status?: string | undefined; json: boolean }) {
  const only = status === undefined ? '' : `?eq[status]=${encodeURIComponent(status)}`
  const newest = await ask<Delivery[]>('GET', `${at('apps', app, 'webhook-deliveries')}${only}`, {
    headers: { range: `seq ..; order=desc,max=${MOST}` },
  })
  const all = newest.toReversed()
  if (asJson) return json(all)
  if (all.length === 0) return say(`${app} has no deliveries`)
  if (all.length === MOST)
    warn(`Only showing the ${MOST} most recent deliveries. Those of one status are had with --status.`)
  grid(
    {
      'Delivery ID': ({ id }) => id,
      Created: ({ created_at }) => created_at,
      Status: ({ status }) => status,
      Include: ({ event }) => event.include,
      Level: ({ webhook }) => webhook.level,
      Attempts: ({ num_attempts }) => num_attempts,
      Code: ({ last_attempt }) => last_attempt?.code,
      Error: ({ last_attempt }) => last_attempt?.error_class,
      'Next Attempt': ({ next_attempt_at }) => next_attempt_at,
    },
    all,
  )
}

async function delivery(app: string, id: string, asJson: boolean): Promise<void> {
  const found = await ask<Delivery>('GET', at('apps', app, 'webhook-deliveries', id))
  const { payload } = await ask<Event>('GET', at('apps', app, 'webhook-events', found.event.id))
  if (asJson) return json({ ...found, payload })
  header(found.id)
  fields({
    Created: found.created_at,
    Event: found.event.id,
    Webhook: found.webhook.id,
    Status: found.status,
    Include: found.event.include,
    Level: found.webhook.level,
    Attempts: found.num_attempts,
    Code: found.last_attempt?.code,
    Error: found.last_attempt?.error_class,
    'Next Attempt': found.next_attempt_at,
  })
  header('Event Payload')
  json(payload)
}

async function events(app: string, asJson: boolean): Promise<void> {
  const all = await list<Event>(at('apps', app, 'webhook-events'))
  if (asJson) return json(all)
  if (all.length === 0) return say(`${app} has no events`)
  grid(
    {
      'Event ID': ({ id }) => id,
      Resource: ({ payload }) => payload.resource,
      Action: ({ payload }) => payload.action,
      'Published At': ({ payload }) => payload.published_at,
    },
    all.toSorted((a, b) => Date.parse(a.created_at) - Date.parse(b.created_at)),
  )
}
