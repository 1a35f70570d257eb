import type { Middleware } from 'koa'
import { figures } from '../figures.ts'
import type { State } from './context.ts'

/** Counts requests, by the route's pattern: what was refused before that was known has none. What is sent as it comes counts to its first byte. */
export const counted: Middleware<State> = async (ctx, next) => {
  const began = performance.now()
  await next()
  const { method, status } = ctx
  const route = String(ctx.state.route ?? ctx._matchedRoute ?? '(none)')
  figures.requests.add({ method, route, class: `${Math.floor(status / 100)}xx` })
  figures.answers.observe({ method, route }, (performance.now() - began) / 1000)
}
