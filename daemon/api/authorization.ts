import type { OAuthAuthorization as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import type { Account } from '../account/account.ts'
import {
  type Authorization,
  createAuthorization,
  describeAuthorization,
  findAuthorization,
  isToken,
  listAuthorizations,
  regenerateToken,
  revokeAuthorization,
} from '../account/authorization.ts'
import type { Daemon } from '../daemon.ts'
import { invalid } from '../errors.ts'
import { body } from './body.ts'
import { type Context, created, param, type Routes, reply } from './context.ts'
import { page, rowKeys } from './page.ts'
import { time } from './wire.ts'

const description = z.string().max(200)

/** The CLI sends the seconds as text. */
const Create = z.object({
  description: description.nullish(),
  expires_in: z.coerce.number().int().positive().max(3_153_600_000).nullish(),
  scope: z.array(z.string()).nullish(),
})
const Update = z.object({ description: description.optional() })

const collection = '/oauth/authorizations'
const one = `${collection}/:authorization`

export function authorizationRoutes(routes: Routes, d: Daemon): void {
  const find = (ctx: Context) =>
    findAuthorization(d.db, ctx.state.account, param(ctx, 'authorization'), ctx.state.token)
  const answer = (ctx: Context, authorization: Authorization, token?: string) =>
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
    reply(async (ctx) => {
      const wanted = await body(ctx, Create)
      const foreign = wanted.scope?.find((scope) => scope !== 'global')
      if (foreign !== undefined) throw invalid(`The scope ${foreign.slice(0, 100)} is not supported yet; use global.`)
      const { authorization, token } = await createAuthorization(d.db, ctx.state.account, {
        description: wanted.description ?? 'Long-lived user authorization',
        scope: ['global'],
        expiresIn: wanted.expires_in ?? null,
        now: d.clock.now(),
      })
      return created(ctx, answer(ctx, authorization, token))
    }),
  )
  routes.get(
    one,
    reply(async (ctx) => answer(ctx, await find(ctx))),
  )
  routes.patch(
    one,
    reply(async (ctx) => {
      const authorization = await find(ctx)
      const wanted = await body(ctx, Update)
      const text = wanted.description ?? authorization.description
      return answer(ctx, await describeAuthorization(d.db, authorization, text, d.clock.now()))
    }),
  )
  routes.delete(
    one,
    reply(async (ctx) => {
      const authorization = await find(ctx)
      await revokeAuthorization(d.db, authorization)
      return answer(ctx, authorization)
    }),
  )
  routes.post(
    `${one}/actions/regenerate-tokens`,
    reply(async (ctx) => {
      const { authorization, token } = await regenerateToken(d.db, await find(ctx), d.clock.now())
      return created(ctx, answer(ctx, authorization, token))
    }),
  )
}

const serialize = (account: Account, row: Authorization, { token, now }: { token: string; now: number }) =>
  ({
    id: row.id,
    description: row.description,
    scope: JSON.parse(row.scope),
    access_token: {
      id: row.id,
      token,
      expires_in: row.expires_at === null ? null : Math.max(0, Math.round((row.expires_at - now) / 1000)),
    },
    refresh_token: null,
    client: null,
    grant: null,
    session: null,
    user: { id: account.id, email: account.email, full_name: account.name },
    created_at: time(row.created_at),
    updated_at: time(row.updated_at),
  }) satisfies Body
