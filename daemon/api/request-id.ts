import { randomUUID } from 'node:crypto'
import type { Middleware } from 'koa'
import type { State } from './context.ts'

/** Clients send a growing list of ids, newest first; the first names the request in our log and is sent back. */
export const requestId: Middleware<State> = async (ctx, next) => {
  ctx.state.requestId = firstId(ctx.get('Request-Id')) ?? randomUUID()
  ctx.set('Request-Id', ctx.state.requestId)
  await next()
}

export const firstId = (header: string): string | undefined => /^\s*([\w.-]{1,64})\s*(,|$)/.exec(header)?.[1]
