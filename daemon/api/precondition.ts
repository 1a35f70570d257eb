import { IncomingMessage, ServerResponse } from 'node:http'
import type { Middleware, ParameterizedContext } from 'koa'
import { UserError } from '../errors.ts'
import type { Routes, State } from './context.ts'
import { names, tagOf } from './representation.ts'

/**
 * A change with `If-Match` is made only while the resource is what the client has seen, else 412
 * (https://devcenter.heroku.com/articles/platform-api-reference#data-integrity). Such changes of one path come one after the other, so of
 * two clients that have seen the same, one is refused.
 */
export const precondition = (routes: Routes): Middleware<State> => {
  const last = new Map<string, Promise<unknown>>()
  return async (ctx, next) => {
    const header = ctx.get('If-Match')
    const changes = ctx.method === 'PATCH' || ctx.method === 'PUT' || ctx.method === 'DELETE'
    if (!changes || header === '' || !routes.match(ctx.path, 'GET').route) return next()
    const before = last.get(ctx.path)
    const done = (async () => {
      await before?.catch(() => {})
      if (!names(header, await currentTag(routes, ctx))) throw changed()
      await next()
    })()
    last.set(ctx.path, done)
    try {
      await done
    } finally {
      if (last.get(ctx.path) === done) last.delete(ctx.path)
    }
  }
}

const changed = (): UserError =>
  new UserError(
    'precondition_failed',
    'The resource has changed since you read it. Read it again, and repeat the change.',
  )

/** The tag that a GET by the same account would have now; what that GET throws is thrown. */
async function currentTag(routes: Routes, { app, req, state }: ParameterizedContext<State>): Promise<string> {
  const asked = Object.assign(new IncomingMessage(req.socket), {
    method: 'GET',
    url: req.url,
    headers: { host: req.headers.host },
  })
  const read = app.createContext<State>(asked, new ServerResponse(asked))
  read.state = state
  await routes.routes()(read as never, async () => {})
  return tagOf(JSON.stringify(read.body))
}
