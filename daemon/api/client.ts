import type { OAuthClient as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import {
  type Client,
  createClient,
  destroyClient,
  findClient,
  listClients,
  rotateSecret,
  updateClient,
} from '../account/client.ts'
import type { Daemon } from '../daemon.ts'
import { body } from './body.ts'
import { created, param, type Routes, reply } from './context.ts'
import { page, rowKeys } from './page.ts'
import { time } from './wire.ts'

const Create = z.object({ name: z.string().trim().min(1).max(100), redirect_uri: z.string().max(2000) })

const collection = '/oauth/clients'
const one = `${collection}/:client`

export function clientRoutes(routes: Routes, d: Daemon): void {
  routes.get(
    collection,
    reply(async (ctx) =>
      page(ctx, await listClients(d.db, ctx.state.account), rowKeys).map((client) => serialize(client)),
    ),
  )
  routes.post(
    collection,
    reply(async (ctx) => {
      const { client, secret } = await createClient(d, ctx.state.account, await body(ctx, Create))
      return created(ctx, serialize(client, secret))
    }),
  )
  routes.get(
    one,
    reply(async (ctx) => serialize(await findClient(d.db, ctx.state.account, param(ctx, 'client')))),
  )
  routes.patch(
    one,
    reply(async (ctx) => {
      const { name, redirect_uri } = await body(ctx, Create.partial())
      const wish = { ...(name === undefined ? {} : { name }), ...(redirect_uri === undefined ? {} : { redirect_uri }) }
      return serialize(await updateClient(d, ctx.state.account, param(ctx, 'client'), wish))
    }),
  )
  routes.delete(
    one,
    reply(async (ctx) => serialize(await destroyClient(d, ctx.state.account, param(ctx, 'client')))),
  )
  routes.post(
    `${one}/actions/rotate-credentials`,
    reply(async (ctx) => {
      const { client, secret } = await rotateSecret(d, ctx.state.account, param(ctx, 'client'))
      return serialize(client, secret)
    }),
  )
}

/** The secret is shown when it was just made; later its first and last characters. */
const serialize = (client: Client, secret: string = client.secret_hint) =>
  ({
    id: client.id,
    name: client.name,
    redirect_uri: client.redirect_uri,
    secret,
    ignores_delinquent: false,
    created_at: time(client.created_at),
    updated_at: time(client.updated_at),
  }) satisfies Body
