import { randomUUID } from 'node:crypto'
import type { Middleware } from 'koa'
import type { Daemon } from '../daemon.ts'
import type { State } from './context.ts'

/**
 * Clients send a growing list of ids, newest first; the first names the request in our log and is sent back. Whatever may have changed
 * something is logged: who, what and with which result, never a body.
 */
export const requestId =
  (d: Daemon): Middleware<State> =>
  async (ctx, next) => {
    const id = firstId(ctx.get('Request-Id')) ?? randomUUID()
    ctx.state.requestId = id
    ctx.set('Request-Id', id)
    await next()
    if (ctx.method === 'GET' || ctx.method === 'HEAD') return
    const { method, status, params, _matchedRoute: route } = ctx
    d.log.info('request', { request: id, method, route, app: params?.app, status, account: ctx.state.account?.email })
  }

export const firstId = (header: string): string | undefined => /^\s*([\w.-]{1,64})\s*(,|$)/.exec(header)?.[1]
