import type { OAuthAuthorization as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import type { Account } from '../account/account.ts'
import { record } from '../account/activity.ts'
import {
  type Authorization,
  type AuthorizationView,
  changeAuthorization,
  createAuthorization,
  findAuthorization,
  isToken,
  listAuthorizations,
  regenerateToken,
  revokeAuthorization,
} from '../account/authorization.ts'
import { clientNamed, isSecretOf } from '../account/client.ts'
import { grantAuthorization } from '../account/grant.ts'
import { logIn } from '../account/login.ts'
import { parseScopes, scopesOf } from '../account/scope.ts'
import { endSession } from '../account/session.ts'
import type { Daemon } from '../daemon.ts'
import { notFound, UserError } from '../errors.ts'
import { decide } from '../store/database.ts'
import { body } from './body.ts'
import { type Context, created, param, type Routes, reply } from './context.ts'
import { page, rowKeys } from './page.ts'
import { secondsUntil, time } from './wire.ts'

const description = z.string().max(200)

/** The CLI sends the seconds as text. */
const Create = z.object({
  client: z.union([z.string(), z.object({ id: z.string() }).transform(({ id }) => id)]).nullish(),
  description: description.nullish(),
  expires_in: z.coerce.number().int().positive().max(3_153_600_000).nullish(),
  scope: z.array(z.string()).max(20).nullish(),
})
const Update = z.object({
  client: z.object({ id: z.string(), secret: z.string() }).optional(),
  description: description.optional(),
})

const collection = '/oauth/authorizations'
const one = `${collection}/:authorization`

export function authorizationRoutes(routes: Routes, d: Daemon): void {
  const find = (ctx: Context) =>
    findAuthorization(d.db, ctx.state.account, param(ctx, 'authorization'), ctx.state.token)
  const answer = (ctx: Context, authorization: AuthorizationView, token?: string) =>
    serialize(ctx.state.account, authorization, {
      token: token ?? (isToken(authorization, ctx.state.token) ? ctx.state.token : authorization.token_hint),
      now: d.clock.now(),
    })
  routes.get(
    collection,
    reply(async (ctx) =>
      page(ctx, await listAuthorizations(d.db, ctx.state.account), rowKeys).map((row) => answer(ctx, row)),
    ),
  )
  routes.post(
    collection,
    reply(async (ctx) => created(ctx, await create(d, ctx))),
  )
  routes.get(
    one,
    reply(async (ctx) => answer(ctx, await find(ctx))),
  )
  routes.patch(
    one,
    reply(async (ctx) => answer(ctx, await update(d, ctx, await find(ctx)))),
  )
  routes.delete(
    one,
    reply(async (ctx) => {
      const authorization = await find(ctx)
      await revoke(d, ctx.state.account, authorization)
      return answer(ctx, authorization)
    }),
  )
  routes.post(
    `${one}/actions/regenerate-tokens`,
    reply(async (ctx) => {
      const now = d.clock.now()
      const { authorization, token } = await decide(d.db, async (tx) => {
        const found = await findAuthorization(tx, ctx.state.account, param(ctx, 'authorization'), ctx.state.token)
        await record(tx, ctx.state.account, { app: null, text: `Rotated the token of ${nameOf(found)}`, now })
        return regenerateToken(tx, found, now)
      })
      return created(ctx, answer(ctx, authorization, token))
    }),
  )
}

/** Email and password begin a session; a token makes another; with a client it is a code that the client redeems. */
async function create(d: Daemon, ctx: Context): Promise<Body> {
  const { account, provenAt } = ctx.state
  const { client: clientId, ...wanted } = await body(ctx, Create)
  const now = d.clock.now()
  const scope = parseScopes(wanted.scope ?? [])
  const expiresIn = wanted.expires_in ?? null
  const text = wanted.description ?? 'Long-lived user authorization'
  if (clientId != null) {
    const client = await clientNamed(d.db, clientId)
    if (!client) throw notFound('client', 'client')
    const { authorization, grant, code } = await grantAuthorization(d, account, { client, scope, description: text })
    return serialize(account, { ...authorization, client, grant: { ...grant, code } }, { token: '', now })
  }
  const { authorization, token } =
    provenAt !== undefined
      ? await logIn(d, account, { description: text, scope, expiresIn, provenAt })
      : await decide(d.db, async (tx) => {
          const made = await createAuthorization(tx, account, { description: text, scope, expiresIn, now })
          await record(tx, account, { app: null, text: `Made the token ${nameOf(made.authorization)}`, now })
          return made
        })
  return serialize(account, { ...authorization, client: null, grant: null }, { token, now })
}

async function update(d: Daemon, ctx: Context, authorization: AuthorizationView): Promise<AuthorizationView> {
  const { client: given, description: text } = await body(ctx, Update)
  return decide(d.db, async (tx) => {
    const now = d.clock.now()
    const client = given && (await clientNamed(tx, given.id))
    if (given && !(client && isSecretOf(client, given.secret)))
      throw new UserError('unauthorized', 'There is no client with this id and secret. See `heroku clients`.')
    const changed = await changeAuthorization(tx, authorization, {
      ...(text === undefined ? {} : { description: text }),
      ...(client ? { client_id: client.id } : {}),
      now,
    })
    await record(tx, ctx.state.account, { app: null, text: `Changed the token ${nameOf(changed)}`, now })
    return { ...changed, client: client ?? authorization.client }
  })
}

/** A login's authorization ends with its session. */
export const revoke = (d: Daemon, account: Account, authorization: Authorization): Promise<unknown> =>
  decide(d.db, async (tx) => {
    if (authorization.session_id === null) await revokeAuthorization(tx, authorization)
    else await endSession(tx, { id: authorization.session_id })
    const text = `Revoked the token ${nameOf(authorization)}`
    await record(tx, account, { app: null, text, now: d.clock.now() })
  })

/** For the audit trail: enough to find it again. */
const nameOf = ({ id, description, scope }: Authorization): string =>
  `${id} (${description}; ${scopesOf({ scope }).join(', ')})`

type Shown = Omit<AuthorizationView, 'grant'> & { grant: (AuthorizationView['grant'] & { code?: string }) | null }

const serialize = (account: Account, row: Shown, { token, now }: { token: string; now: number }) =>
  ({
    id: row.id,
    description: row.description,
    scope: scopesOf(row),
    access_token: row.grant ? null : { id: row.id, token, expires_in: secondsUntil(row.expires_at, now) },
    refresh_token: null,
    client: row.client && { id: row.client.id, name: row.client.name, redirect_uri: row.client.redirect_uri },
    grant: row.grant && {
      id: row.grant.id,
      code: row.grant.code ?? '**********',
      expires_in: secondsUntil(row.grant.expires_at, now),
    },
    session: row.session_id === null ? null : { id: row.session_id },
    user: { id: account.id, email: account.email, full_name: account.name },
    created_at: time(row.created_at),
    updated_at: time(row.updated_at),
  }) satisfies Body
