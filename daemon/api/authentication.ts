import type { Middleware } from 'koa'
import { authenticate } from '../account/authorization.ts'
import type { Daemon } from '../daemon.ts'
import { UserError } from '../errors.ts'
import type { State } from './context.ts'

/** Who asks: a token as `Bearer`, or as the password of `Basic` with whatever user name. */
export const authentication =
  (d: Daemon): Middleware<State> =>
  async (ctx, next) => {
    const token = tokenOf(ctx.get('Authorization'))
    const account = token === undefined ? null : await authenticate(d.db, token, d.clock.now())
    if (token === undefined || account === null) {
      ctx.set('WWW-Authenticate', 'Basic realm="Sluice"')
      throw new UserError('unauthorized', refusal(ctx.method, ctx.path))
    }
    ctx.state.account = { ...account, from: ctx.ip }
    ctx.state.token = token
    await next()
  }

const refusal = (method: string, path: string): string =>
  method === 'POST' && path === '/oauth/authorizations'
    ? 'Invalid credentials provided. Logging in needs a token in place of the password; the first one is in admin.token of the data directory.'
    : 'Invalid credentials provided.'

export function tokenOf(header: string): string | undefined {
  const [scheme = '', credentials = ''] = header.trim().split(/\s+/, 2)
  if (/^bearer$/i.test(scheme)) return credentials || undefined
  if (!/^basic$/i.test(scheme)) return undefined
  const text = Buffer.from(credentials, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  const password = colon < 0 ? '' : text.slice(colon + 1)
  return password || text.slice(0, colon < 0 ? undefined : colon) || undefined
}
