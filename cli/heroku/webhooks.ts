import { ask, exchange, list } from '../api.ts'
import { appOf } from '../app.ts'
import { action, header, json, say, warn } from '../output.ts'
import type { Program } from '../program.ts'
import { appCommand, at } from './command.ts'
import { fields } from './fields.ts'
import { grid } from './table.ts'
import { registerDeliveries } from './webhook-deliveries.ts'

interface Webhook {
  id: string
  url: string
  include: string[]
  level: string
  created_at: string
}

export function register(program: Program): void {
  appCommand(program, 'webhooks', 'list the webhooks of an app')
    .option('--json', 'output in json format', false)
    .action(async (options) => webhooks(await appOf(options), options.json))
  described(program, 'webhooks:add', 'add a webhook to an app').action(async (options) =>
    add(await appOf(options), options),
  )
  appCommand(program, 'webhooks:info', 'show a webhook')
    .argument('<id>', 'id of the webhook')
    .option('--json', 'output in json format', false)
    .action(async (id, options) => {
      const webhook = await ask<Webhook>('GET', at('apps', await appOf(options), 'webhooks', id))
      if (options.json) return json(webhook)
      header(webhook.id)
      fields({
        Include: webhook.include.join(','),
        Level: webhook.level,
        URL: webhook.url,
        'Webhook ID': webhook.id,
      })
    })
  described(program, 'webhooks:update', 'change a webhook')
    .argument('<id>', 'id of the webhook')
    .action(async (id, options) => {
      const app = await appOf(options)
      await action(`Updating webhook ${id} for ${app}`, () =>
        ask('PATCH', at('apps', app, 'webhooks', id), { body: wanted(options) }),
      )
    })
  appCommand(program, 'webhooks:remove', 'remove a webhook from an app')
    .argument('<id>', 'id of the webhook')
    .action(async (id, options) => {
      const app = await appOf(options)
      await action(`Removing webhook ${id} from ${app}`, () => ask('DELETE', at('apps', app, 'webhooks', id)))
    })
  registerDeliveries(program)
}

const described = (program: Program, name: string, description: string) =>
  appCommand(program, name, description)
    .requiredOption('-i, --include <types>', 'comma-separated types of events: api:release,dyno')
    .requiredOption('-l, --level <level>', 'notify does not try again; sync does until it succeeds or times out')
    .requiredOption('-u, --url <url>', 'URL of the receiver')
    .option('-s, --secret <secret>', 'what deliveries are signed with, in Heroku-Webhook-Hmac-SHA256')
    .option('-t, --authorization <authorization>', 'authorization header to send')

interface Wanted {
  include: string
  level: string
  url: string
  secret?: string | undefined
  authorization?: string | undefined
}

const wanted = ({ include, level, url, secret, authorization }: Wanted) => ({
  ...{ level, url, secret, authorization },
  include: include.split(',').map((type) => type.trim()),
})

async function webhooks(app: string, asJson: boolean): Promise<void> {
  const all = await list<Webhook>(at('apps', app, 'webhooks'))
  if (asJson) return json(all)
  if (all.length === 0) return say(`${app} has no webhooks\nUse sluice webhooks:add to add one.`)
  grid(
    {
      'Webhook ID': ({ id }) => id,
      URL: ({ url }) => url,
      Include: ({ include }) => include.join(','),
      Level: ({ level }) => level,
    },
    all.toSorted((a, b) => Date.parse(a.created_at) - Date.parse(b.created_at)),
  )
}

async function add(app: string, options: Wanted): Promise<void> {
  const { headers } = await action(`Adding webhook to ${app}`, () =>
    exchange('POST', at('apps', app, 'webhooks'), { body: wanted(options) }),
  )
  const secret = headers['heroku-webhook-secret']
  if (typeof secret !== 'string') return warn('no secret found')
  header('Webhooks Signing Secret')
  say(secret)
}
