import type { Middleware } from 'koa'
import { ZodError } from 'zod'
import type { Daemon } from '../daemon.ts'
import { invalid, isDiskFull, STATUS, UserError } from '../errors.ts'
import type { State } from './context.ts'

/** Turns what was thrown into Heroku's error body. The cause of what nobody expected goes to the log, with the request's id in both. */
export const refusal =
  (d: Daemon): Middleware<State> =>
  async (ctx, next) => {
    try {
      await next()
    } catch (thrown) {
      const error = userError(thrown, ctx.state.requestId)
      ctx.status = STATUS[error.id]
      if (error.retryAfter !== undefined) ctx.set('Retry-After', String(error.retryAfter))
      ctx.body = {
        id: error.id,
        message: error.message,
        ...(error.resource === undefined ? {} : { resource: error.resource }),
      }
      if (ctx.status >= 500)
        d.log.error('request failed', {
          request: ctx.state.requestId,
          method: ctx.method,
          route: ctx._matchedRoute,
          error: error.cause ?? thrown,
        })
    }
  }

export function userError(thrown: unknown, requestId: string): UserError {
  if (thrown instanceof UserError) return thrown
  if (thrown instanceof ZodError) return invalid(sentence(thrown))
  if (isDiskFull(thrown))
    return new UserError(
      'internal_server_error',
      'The disk of this host is full, so nothing was changed. Free some space and try again.',
      { cause: thrown },
    )
  return new UserError(
    'internal_server_error',
    `Something went wrong here, and it is not your fault. The daemon's log has the details under request ${requestId}.`,
    { cause: thrown },
  )
}

/** The first thing that is wrong with a body, in words. */
function sentence({ issues }: ZodError): string {
  const [issue] = issues
  if (!issue) return 'The parameters are not valid.'
  const path = issue.path.map(String).join('.')
  const why = issue.message.replace(/^Invalid input: /, '')
  if (path === '') return `Invalid request body: ${why}.`
  const [, expected] = /^(expected .*), received undefined$/.exec(why) ?? []
  return expected === undefined
    ? `Invalid parameter \`${path}\`: ${why}.`
    : `The parameter \`${path}\` is missing: ${expected}.`
}
