import { ask, list } from '../api.ts'
import { action, json, say } from '../output.ts'
import type { Program } from '../program.ts'
import { distance } from './ago.ts'
import { at } from './command.ts'
import { fields } from './fields.ts'
import { grid } from './table.ts'

interface Authorization {
  id: string
  description: string
  scope: string[] | null
  updated_at: string
  client: { name: string; redirect_uri: string } | null
  access_token: { token: string; expires_in: number | null } | null
}

export function register(program: Program): void {
  program
    .command('authorizations')
    .description('list your OAuth authorizations: tokens for programs')
    .option('-j, --json', 'output in json format', false)
    .action(async (options) => {
      const all = await list<Authorization>('/oauth/authorizations')
      const sorted = all.toSorted((a, b) => a.description.localeCompare(b.description))
      if (options.json) return json(sorted)
      if (sorted.length === 0) return say('No OAuth authorizations.')
      grid(
        {
          Description: ({ description }) => description,
          ID: ({ id }) => id,
          Scope: ({ scope }) => scope?.join(','),
        },
        sorted,
      )
    })
  program
    .command('authorizations:create')
    .description('make a token for a program')
    .option('-d, --description <description>', 'what it is for')
    .option('-e, --expires-in <seconds>', 'how long it holds; by default for good')
    .option('-s, --scope <scope>', 'what it may be used for, comma-separated: global, identity, read, write, …')
    .option('-S, --short', 'only output the token', false)
    .option('-j, --json', 'output in json format', false)
    .action(create)
  one(program, 'authorizations:info', 'show an authorization')
    .option('-j, --json', 'output in json format', false)
    .action(async (id, options) => {
      const found = await ask<Authorization>('GET', at('oauth', 'authorizations', id))
      if (options.json) json(found)
      else show(found)
    })
  one(program, 'authorizations:revoke', 'have a token hold no more')
    .alias('authorizations:destroy')
    .action(async (id) => {
      await action('Revoking OAuth Authorization', async (tell) => {
        const { description } = await ask<Authorization>('DELETE', at('oauth', 'authorizations', id))
        tell(`done, revoked authorization from ${description}`)
      })
    })
  one(program, 'authorizations:rotate', 'have an authorization get another token').action(async (id) =>
    show(
      await action('Rotating OAuth Authorization', () =>
        ask<Authorization>('POST', at('oauth', 'authorizations', id, 'actions', 'regenerate-tokens')),
      ),
    ),
  )
  one(program, 'authorizations:update', 'change what an authorization is for')
    .requiredOption('-d, --description <description>', 'what it is for')
    .action(async (id, { description }) =>
      show(
        await action('Updating OAuth Authorization', () =>
          ask<Authorization>('PATCH', at('oauth', 'authorizations', id), { body: { description } }),
        ),
      ),
    )
}

const one = (program: Program, name: string, description: string) =>
  program.command(name).description(description).argument('<id>', 'id of the authorization')

interface Wanted {
  description?: string | undefined
  expiresIn?: string | undefined
  scope?: string | undefined
  short: boolean
  json: boolean
}

async function create({ description, expiresIn, scope, short, json: asJson }: Wanted): Promise<void> {
  const made = await action('Creating OAuth Authorization', () =>
    ask<Authorization>('POST', '/oauth/authorizations', {
      body: { description, expires_in: expiresIn, scope: scope?.split(',') },
    }),
  )
  if (short) say(made.access_token?.token ?? '')
  else if (asJson) json(made)
  else show(made)
}

function show({ id, description, scope, client, access_token: token, updated_at }: Authorization): void {
  const expires = token?.expires_in ? new Date(Date.now() + token.expires_in * 1000) : undefined
  fields({
    Client: client?.name ?? '<none>',
    'Redirect URI': client?.redirect_uri,
    ID: id,
    Description: description,
    Scope: scope?.join(','),
    Token: token?.token,
    'Expires at': expires && `${expires} (in ${distance(expires.toISOString())})`,
    'Updated at': token && `${new Date(updated_at)} (${distance(updated_at)} ago)`,
  })
}
