import type { Middleware } from 'koa'
import { UserError } from '../errors.ts'
import type { Routes, State } from './context.ts'

const UNKNOWN =
  'The requested API endpoint was not found. Are you using the right HTTP verb (i.e. `GET` vs. `POST`), and did you specify your intended version with the `Accept` header?'

/** What no route answers: 405 with the methods that the path has, or Heroku's 404. */
export const missing =
  (...routers: Routes[]): Middleware<State> =>
  async (ctx, next) => {
    const matches = routers.map((routes) => routes.match(ctx.path, ctx.method))
    const answers = matches.flatMap(({ pathAndMethod }) => pathAndMethod).find(({ methods }) => methods.length > 0)
    if (answers) {
      ctx.state.route = String(answers.path)
      return next()
    }
    const methods = new Set(matches.flatMap(({ path }) => path.flatMap((layer) => layer.methods)))
    if (methods.size === 0) throw new UserError('not_found', UNKNOWN)
    ctx.set('Allow', [...methods].join(', '))
    throw new UserError('method_not_allowed', `This path answers to ${[...methods].join(', ')}, not to ${ctx.method}.`)
  }
