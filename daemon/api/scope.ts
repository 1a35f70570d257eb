import type { Middleware } from 'koa'
import { allows, type Reach } from '../account/scope.ts'
import { UserError } from '../errors.ts'
import type { State } from './context.ts'

/** Refuses what the token is not for, in Heroku's words. Runs when the route is known, before the route. */
export const scope: Middleware<State> = async (ctx, next) => {
  requireReach(ctx.state, reachOf(ctx.method, ctx.state.route))
  await next()
}

/** For what a route does only sometimes. */
export function requireReach({ scopes }: Pick<State, 'scopes'>, reach: Reach): void {
  if (!allows(scopes, reach))
    throw new UserError('forbidden', 'The scope of this OAuth authorization does not allow access to this resource.')
}

/** About accounts, tokens, members, the platform, whose things are, and who did what: for `global` alone, so that no token makes a mightier one. */
const ACCOUNTS =
  /^\/(account|users|oauth|metrics|password-resets|pipeline-transfers|activities|enterprise-accounts|sluice\/\w+|(teams|organizations)\/:\w+(\/(members|invitations|preferences)(\/:\w+)?)?$|teams\/invitations)/
/** What shows config vars, or sets them; a command in a dyno sees all of them. */
const PROTECTED = /\/config-vars|\/addons\/:\w+\/config$|^\/api\/v2/
const COMMANDS = /^\/apps\/:\w+\/dynos(\/:\w+)?$/
/** They change nothing, although they come by POST. */
const QUESTIONS = /^\/(actions|filters)\/|^\/apps\/:\w+\/log-sessions$/

/** Pure: what a request to a route does. */
export function reachOf(method: string, route: string): Reach {
  const reads = method === 'GET' || method === 'HEAD' || (method === 'POST' && QUESTIONS.test(route))
  if (reads && (route === '/account' || route === '/users/:account')) return 'identity'
  if (reads && route === '/users/:account/apps') return 'read'
  if (ACCOUNTS.test(route))
    return reads && route.startsWith('/teams') && !route.includes('invitations') ? 'read' : 'account'
  const secret = PROTECTED.test(route) || (method === 'POST' && COMMANDS.test(route))
  if (reads) return secret ? 'read-protected' : 'read'
  return secret ? 'write-protected' : 'write'
}
