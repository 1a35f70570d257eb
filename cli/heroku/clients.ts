import { ask, list } from '../api.ts'
import { action, header, json, say } from '../output.ts'
import type { Program } from '../program.ts'
import { Failure } from '../settings.ts'
import { at } from './command.ts'
import { fields } from './fields.ts'
import { grid } from './table.ts'

interface Client {
  id: string
  name: string
  redirect_uri: string
  secret: string | null
}

export function register(program: Program): void {
  program
    .command('clients')
    .description('list your OAuth clients')
    .option('-j, --json', 'output in json format', false)
    .action(async (options) => clients(options.json))
  program
    .command('clients:create')
    .description('create a new OAuth client')
    .argument('<name>', 'name of the OAuth client')
    .argument('<redirect_uri>', 'redirect URL of the OAuth client')
    .option('-j, --json', 'output in json format', false)
    .option('-s, --shell', 'output in shell format', false)
    .action(create)
  one(program, 'clients:info', 'show details of an OAuth client')
    .option('-j, --json', 'output in json format', false)
    .option('-s, --shell', 'output in shell format', false)
    .action(async (id, form) => show(await ask<Client>('GET', at('oauth', 'clients', id)), form))
  one(program, 'clients:update', 'change an OAuth client')
    .option('-n, --name <name>', 'its new name')
    .option('--url <url>', 'its new redirect URL')
    .action(update)
  one(program, 'clients:rotate', 'have an OAuth client get another secret')
    .option('-j, --json', 'output in json format', false)
    .option('-s, --shell', 'output in shell format', false)
    .action(async (id, form) => {
      const path = at('oauth', 'clients', id, 'actions', 'rotate-credentials')
      show(await action(`Updating ${id}`, () => ask<Client>('POST', path)), form)
    })
  one(program, 'clients:destroy', 'delete an OAuth client by its ID').action(async (id) => {
    await action(`Destroying ${id}`, () => ask('DELETE', at('oauth', 'clients', id)))
  })
}

const one = (program: Program, name: string, description: string) =>
  program.command(name).description(description).argument('<id>', 'ID of the OAuth client')

async function clients(asJson: boolean): Promise<void> {
  const all = (await list<Client>('/oauth/clients')).toSorted((a, b) => a.name.localeCompare(b.name))
  if (asJson) return json(all)
  if (all.length === 0) return say('No OAuth clients.')
  grid({ name: ({ name }) => name, id: ({ id }) => id, redirect_uri: ({ redirect_uri }) => redirect_uri }, all)
}

interface Form {
  json: boolean
  shell: boolean
}

/** The secret is shown now and never again. */
async function create(name: string, redirect_uri: string, form: Form): Promise<void> {
  requireSecure(redirect_uri)
  const client = await action(`Creating ${name}`, () =>
    ask<Client>('POST', '/oauth/clients', { body: { name, redirect_uri } }),
  )
  if (form.json) json(client)
  else shell(client)
}

async function update(id: string, { name, url }: { name?: string; url?: string }): Promise<void> {
  if (!name && !url) throw new Failure('No changes provided.', 2)
  if (url) requireSecure(url)
  const body = { ...(url ? { redirect_uri: url } : {}), ...(name ? { name } : {}) }
  await action(`Updating ${id}`, () => ask('PATCH', at('oauth', 'clients', id), { body }))
}

function show(client: Client, form: Form): void {
  if (form.json) return json(client)
  if (form.shell) return shell(client)
  header(client.name)
  fields({ ...client })
}

function shell({ id, secret }: Client): void {
  say(`HEROKU_OAUTH_ID=${id}`)
  say(`HEROKU_OAUTH_SECRET=${secret}`)
}

/** Hosts that are tried things out on need no TLS. */
const NEAR = /^(localhost|.*\.local|(10|127|192)(\.\d{1,3}){3})$/

/** What comes back to a client goes over no network unencrypted. */
function requireSecure(text: string): void {
  if (!URL.canParse(text)) throw new Failure('Invalid URL')
  const { protocol, hostname } = new URL(text)
  if (protocol !== 'https:' && !NEAR.test(hostname))
    throw new Failure('Unsupported callback URL. Clients have to use HTTPS for non-local addresses.')
}
