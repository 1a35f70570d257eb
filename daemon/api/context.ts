import type Router from '@koa/router'
import type { RouterContext } from '@koa/router'
import type { Account } from '../account/account.ts'
import type { Scope } from '../account/scope.ts'
import { type App, findApp } from '../app/app.ts'
import { type Permission, requirePermission } from '../app/permission.ts'
import type { Daemon } from '../daemon.ts'

/** What the middleware has found out about a request before its route runs. */
export interface State {
  requestId: string
  account: Account
  /** The token that the request came with; needed to tell which authorization is its own. Never logged. */
  token: string
  /** The pattern of the route that answers. */
  route: string
  /** What the token is for. */
  scopes: readonly Scope[]
  /** The session that the token came from. */
  session: string | null
  /** When email and password were shown; undefined when it was a token that came. */
  provenAt: number | undefined
  /** Requests that the account may still make. */
  remaining: number
}

export type Context = RouterContext<State>
export type Routes = Router<State>
export type Handler = (ctx: Context) => Promise<void>

/** A path's parameter, decoded. */
export const param = (ctx: Context, name: string): string => ctx.params[name] ?? ''

/** A route whose answer is what `answer` returns. */
export const reply =
  (answer: (ctx: Context) => unknown): Handler =>
  async (ctx) => {
    ctx.body = await answer(ctx)
  }

/** What a route below `/apps/:app` needs, for the list in app/README.md: one of these permissions. */
export type AppHandler = Handler & { may: readonly Permission[] }

/** A route below `/apps/:app` (by name or id) for those with one of these permissions; not found unless the account may see the app. */
export const withApp = (
  d: Daemon,
  may: Permission | readonly Permission[],
  answer: (app: App, ctx: Context) => unknown,
): AppHandler => {
  const handler = reply(async (ctx) => {
    const app = await findApp(d.db, ctx.state.account, param(ctx, 'app'))
    await requirePermission(d, app, ctx.state.account, may)
    return answer(app, ctx)
  })
  return Object.assign(handler, { may: [may].flat() })
}

/** Something was made: 201. */
export function created<T>(ctx: Context, body: T): T {
  ctx.status = 201
  return body
}

/** Something will happen: 202, and nothing to say about it. */
export function accepted(ctx: Context): object {
  ctx.status = 202
  return {}
}
