import type { Middleware } from 'koa'
import { bearerOf } from '../account/authorization.ts'
import { checkCredentials } from '../account/login.ts'
import type { Daemon } from '../daemon.ts'
import { UserError } from '../errors.ts'
import type { State } from './context.ts'

/**
 * Who asks: a token as `Bearer`, or as the password of `Basic` with whatever user name. Email and password get in to one place only,
 * where they are exchanged for a token.
 */
export const authentication =
  (d: Daemon): Middleware<State> =>
  async (ctx, next) => {
    const header = ctx.get('Authorization')
    const token = tokenOf(header) ?? ''
    const bearer = await bearerOf(d.db, token, d.clock.now())
    if (bearer) {
      const { account, ...rest } = bearer
      Object.assign(ctx.state, { account: { ...account, from: ctx.ip }, token, ...rest, provenAt: undefined })
      return next()
    }
    const [email, password] = basicOf(header) ?? []
    ctx.set('WWW-Authenticate', 'Basic realm="Sluice"')
    if (ctx.method !== 'POST' || ctx.path !== '/oauth/authorizations' || !email || !password)
      throw new UserError('unauthorized', 'Invalid credentials provided.')
    const provenAt = d.clock.now()
    const account = await checkCredentials(d, { email, password, from: ctx.ip })
    ctx.remove('WWW-Authenticate')
    Object.assign(ctx.state, { account, token: '', scopes: ['global'], session: null, provenAt })
    await next()
  }

export function tokenOf(header: string): string | undefined {
  const [scheme = '', credentials = ''] = header.trim().split(/\s+/, 2)
  if (/^bearer$/i.test(scheme)) return credentials || undefined
  const [user, password] = basicOf(header) ?? []
  return password || user || undefined
}

/** User and password of Basic. */
export function basicOf(header: string): [user: string, password: string] | undefined {
  const [scheme = '', credentials = ''] = header.trim().split(/\s+/, 2)
  if (!/^basic$/i.test(scheme)) return undefined
  const text = Buffer.from(credentials, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return colon < 0 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)]
}
