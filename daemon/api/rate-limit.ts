import type { Middleware } from 'koa'
import { createBuckets } from '../account/bucket.ts'
import type { Daemon } from '../daemon.ts'
import { UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { State } from './context.ts'

const HOUR = 60 * 60 * 1000
const SENTENCE = 'Your account reached the API rate limit\nPlease wait a few minutes before making new requests'

/**
 * Heroku's allowance: so many requests of an account at once, and it comes back evenly over an hour. Asking how much is left is free
 * (https://devcenter.heroku.com/articles/platform-api-reference#rate-limits).
 */
export function rateLimit(d: Daemon): Middleware<State> {
  const size = d.config.rateLimit
  const requests = createBuckets(d.clock, { size, every: HOUR / size, most: limits.ratedAccounts })
  return async (ctx, next) => {
    const { id } = ctx.state.account
    const wait = ctx.path === '/account/rate-limits' ? 0 : requests.take(id)
    ctx.state.remaining = requests.left(id)
    ctx.set('RateLimit-Remaining', String(ctx.state.remaining))
    if (wait > 0) throw new UserError('rate_limit', SENTENCE, { retryAfter: Math.ceil(wait / 1000) })
    await next()
  }
}
