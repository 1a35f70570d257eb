import type { OAuthToken as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import { findAuthorization, type Tokens } from '../account/authorization.ts'
import { type Client, clientOfSecret } from '../account/client.ts'
import { redeemCode, refreshTokens } from '../account/grant.ts'
import type { Daemon } from '../daemon.ts'
import { UserError } from '../errors.ts'
import { basicOf } from './authentication.ts'
import { revoke } from './authorization.ts'
import { body } from './body.ts'
import { type Context, created, param, type Routes, reply } from './context.ts'
import { form } from './form.ts'
import { secondsUntil, time } from './wire.ts'

const text = z.string().max(512)
/** As OAuth has it (RFC 6749, 4.1.3 and 6). */
const Exchange = z.object({
  grant_type: z.string().max(100),
  client_id: text.optional(),
  client_secret: text.optional(),
  code: text.optional(),
  refresh_token: text.optional(),
  redirect_uri: z.string().max(2000).optional(),
})
/** As Heroku's schema has it. */
const Create = z.object({
  client: z.object({ secret: text.nullish() }).nullish(),
  grant: z.object({ code: text.nullish(), type: z.string().max(100).nullish() }).nullish(),
  refresh_token: z.object({ token: text.nullish() }).nullish(),
})

/** Clients change codes and refresh tokens into tokens; what they show for themselves is their secret. */
export function oauthTokenRoutes({ open, closed }: { open: Routes; closed: Routes }, d: Daemon): void {
  open.post(
    '/oauth/token',
    reply((ctx) => exchange(d, ctx)),
  )
  open.post(
    '/oauth/tokens',
    reply(async (ctx) => {
      const { client: shown, grant, refresh_token } = await body(ctx, Create)
      const client = await clientOfSecret(d.db, shown?.secret ?? '')
      if (!client) throw new UserError('unauthorized', 'Invalid credentials provided.')
      const wanted = { type: grant?.type ?? '', code: grant?.code, refreshToken: refresh_token?.token }
      const tokens = await tokensFor(d, client, wanted)
      if (!tokens)
        throw new UserError('unauthorized', 'This code or refresh token is not valid: it is wrong, too old, or used.')
      return created(ctx, serialize(tokens, d.clock.now()))
    }),
  )
  closed.delete(
    '/oauth/tokens/:token',
    reply(async (ctx) => {
      const { account, token } = ctx.state
      const authorization = await findAuthorization(d.db, account, param(ctx, 'token'), token)
      await revoke(d, account, authorization)
      const hint = authorization.token_hint
      return serialize({ authorization, token: hint, refreshToken: hint }, d.clock.now())
    }),
  )
}

interface Wanted {
  type: string
  code?: string | null | undefined
  refreshToken?: string | null | undefined
}

function tokensFor(d: Daemon, client: Client, { type, code, refreshToken }: Wanted): Promise<Tokens | null> {
  if (type === 'authorization_code') return redeemCode(d, client, code ?? '')
  if (type === 'refresh_token') return refreshTokens(d, client, refreshToken ?? '')
  throw new UserError('bad_request', 'The grant type must be authorization_code or refresh_token.')
}

/** Errors are in both forms: OAuth's, which its libraries read, and Heroku's. */
async function exchange(d: Daemon, ctx: Context): Promise<object> {
  const asked = ctx.is('json') ? await body(ctx, Exchange) : await form(ctx, Exchange)
  ctx.set('Cache-Control', 'no-store')
  const [id, secret] = basicOf(ctx.get('Authorization')) ?? [asked.client_id, asked.client_secret]
  const client = await clientOfSecret(d.db, secret ?? '')
  if (!client || (id && id !== client.id))
    return refused(ctx, 401, ['invalid_client', 'unauthorized', 'Invalid credentials provided.'])
  if (!['authorization_code', 'refresh_token'].includes(asked.grant_type))
    return refused(ctx, 400, ['unsupported_grant_type', 'bad_request', 'Use authorization_code or refresh_token.'])
  const sameAddress = asked.redirect_uri === undefined || asked.redirect_uri === client.redirect_uri
  const wanted = { type: asked.grant_type, code: asked.code, refreshToken: asked.refresh_token }
  const tokens = sameAddress ? await tokensFor(d, client, wanted) : null
  if (!tokens)
    return refused(ctx, 400, ['invalid_grant', 'bad_request', 'It is wrong, too old, used, or not for this client.'])
  return {
    access_token: tokens.token,
    token_type: 'Bearer',
    expires_in: secondsUntil(tokens.authorization.expires_at, d.clock.now()),
    refresh_token: tokens.refreshToken,
    user_id: tokens.authorization.account_id,
  }
}

function refused(ctx: Context, status: number, [error, id, message]: [string, string, string]): object {
  ctx.status = status
  return { error, error_description: message, id, message }
}

const serialize = ({ authorization, token, refreshToken }: Tokens, now: number) =>
  ({
    id: authorization.id,
    access_token: { id: authorization.id, token, expires_in: secondsUntil(authorization.expires_at, now) },
    refresh_token: { id: authorization.id, token: refreshToken, expires_in: null },
    authorization: { id: authorization.id },
    client: null,
    grant: null,
    session: authorization.session_id === null ? null : { id: authorization.session_id },
    user: { id: authorization.account_id },
    created_at: time(authorization.created_at),
    updated_at: time(authorization.updated_at),
  }) satisfies Omit<Body, 'grant' | 'session'> & { grant: null; session: { id: string } | null }
