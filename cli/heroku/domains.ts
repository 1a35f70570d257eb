import { setTimeout as pause } from 'node:timers/promises'
import { ask, list } from '../api.ts'
import { appOf } from '../app.ts'
import { action, json, say } from '../output.ts'
import type { Program } from '../program.ts'
import { Failure } from '../settings.ts'
import { appCommand, at } from './command.ts'
import { chosen } from './confirm.ts'
import { registerDomainList } from './domain-list.ts'
import { fields } from './fields.ts'
import { quote } from './quote.ts'

export interface Domain {
  id: string
  hostname: string
  kind: 'heroku' | 'custom'
  cname: string | null
  status: string
  acm_status: string | null
  acm_status_reason: string | null
  sni_endpoint: { name: string } | null
  updated_at: string
  app: { name: string }
}

export const domainsOf = (app: string): Promise<Domain[]> => list(at('apps', app, 'domains'))

/** Between two looks at a domain that is being added, ms. */
const LOOK = 2000

export function register(program: Program): void {
  registerDomainList(program)
  appCommand(program, 'domains:add', 'add a domain to an app')
    .argument('<hostname>', 'unique identifier of the domain or full hostname')
    .option('-c, --cert <cert>', 'name of the SSL certificate to use for it')
    .option('--wait', 'wait until it is active', false)
    .option('-j, --json', 'output in json format', false)
    .action(async (hostname, options) => add(await appOf(options), hostname, options))
  appCommand(program, 'domains:remove', 'remove a domain from an app')
    .argument('<hostname>', 'unique identifier of the domain or full hostname')
    .action(async (hostname, options) => {
      const app = await appOf(options)
      await action(`Removing ${hostname} from ${app}`, () => ask('DELETE', at('apps', app, 'domains', hostname)))
    })
  appCommand(program, 'domains:clear', 'remove all domains from an app').action(async (options) => {
    const app = await appOf(options)
    await action(`Removing all domains from ${app}`, async () => {
      for (const { kind, hostname } of await domainsOf(app))
        if (kind === 'custom') await ask('DELETE', at('apps', app, 'domains', hostname))
    })
  })
  appCommand(program, 'domains:info', 'show detailed information for a domain')
    .argument('<hostname>', 'unique identifier of the domain or full hostname')
    .option('-j, --json', 'output in json format', false)
    .action(async (hostname, options) => {
      const domain = await ask<Domain>('GET', at('apps', await appOf(options), 'domains', hostname))
      if (options.json) json(domain)
      else fields({ ...domain, app: domain.app.name })
    })
  appCommand(program, 'domains:update', 'have a domain use another SSL certificate')
    .argument('<hostname>', 'unique identifier of the domain or full hostname')
    .requiredOption('--cert <cert>', 'name or id of the certificate')
    .action(async (hostname, options) => {
      const app = await appOf(options)
      await action(`Updating ${hostname} to use ${options.cert} certificate`, () =>
        ask('PATCH', at('apps', app, 'domains', hostname), { body: { sni_endpoint: options.cert } }),
      )
    })
  appCommand(program, 'domains:wait', 'wait until a domain is active')
    .argument('[hostname]', 'unique identifier of the domain or full hostname; all by default')
    .action(async (hostname, options) => {
      const app = await appOf(options)
      const awaited = hostname
        ? [await ask<Domain>('GET', at('apps', app, 'domains', hostname))]
        : (await domainsOf(app)).filter(({ status }) => status === 'pending')
      for (const domain of awaited) await active(app, domain)
    })
}

interface Wanted {
  cert?: string | undefined
  wait: boolean
  json: boolean
}

async function add(app: string, hostname: string, { cert, wait, json: asJson }: Wanted): Promise<void> {
  const sni_endpoint = cert ?? (await certificateFor(app))
  const domain = await action(`Adding ${hostname} to ${app}`, () =>
    ask<Domain>('POST', at('apps', app, 'domains'), { body: { hostname, sni_endpoint } }),
  )
  if (asJson) return json(domain)
  say(`Configure your app's DNS provider to point to the DNS Target ${domain.cname ?? ''}.`)
  if (domain.status === 'none') return
  if (wait) return active(app, domain)
  say('')
  say(`The domain ${hostname} has been enqueued for addition`)
  say(`Run sluice domains:wait ${quote(hostname)} to wait for completion`)
}

/** Where there are several, which one is meant is for a person to say. */
async function certificateFor(app: string): Promise<string | null> {
  const certs = await list<{ name: string }>(at('apps', app, 'sni-endpoints'))
  if (certs.length < 2) return null
  const none = 'No SNI Endpoint'
  const choice = await chosen(
    'Choose an SNI endpoint to associate with this domain',
    [none, ...certs.map(({ name }) => name)],
    none,
    `${app} has several SSL certificates: ${certs.map(({ name }) => name).join(', ')}. Say which with --cert.`,
  )
  return choice === none ? null : choice
}

async function active(app: string, domain: Domain): Promise<void> {
  const status = await action(`Waiting for ${domain.hostname}`, async () => {
    let { status } = domain
    while (status === 'pending') {
      await pause(LOOK)
      status = (await ask<Domain>('GET', at('apps', app, 'domains', domain.id))).status
    }
    return status
  })
  if (status !== 'succeeded' && status !== 'none')
    throw new Failure(`The domain creation finished with status ${status}`)
}
