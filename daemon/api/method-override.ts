import type { Middleware } from 'koa'
import { UserError } from '../errors.ts'

/** Not HEAD: who sent a POST waits for the body that the answer's length announces. */
const METHODS = ['GET', 'PUT', 'PATCH', 'DELETE']

/** For clients behind what lets only GET and POST pass (https://devcenter.heroku.com/articles/platform-api-reference#method-override). */
export const methodOverride: Middleware = async (ctx, next) => {
  const wanted = ctx.get('X-Http-Method-Override').trim().toUpperCase()
  if (wanted !== '' && ctx.method === 'POST') {
    if (!METHODS.includes(wanted))
      throw new UserError('bad_request', `X-Http-Method-Override may be ${METHODS.join(', ')}.`)
    ctx.method = wanted
  }
  await next()
}
