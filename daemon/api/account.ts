import type { Account as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import { type Account, findAccount, renameAccount } from '../account/account.ts'
import type { Daemon } from '../daemon.ts'
import { notFound, UserError } from '../errors.ts'
import { body } from './body.ts'
import { type Context, param, type Routes, reply } from './context.ts'
import { RATE_LIMIT } from './representation.ts'
import { time, timeOrNull } from './wire.ts'

const Update = z.object({ name: z.string().max(200).nullable().optional() })

export function accountRoutes(routes: Routes, d: Daemon): void {
  const update = async (ctx: Context, account: Account) => {
    const { name } = await body(ctx, Update)
    return serialize(name === undefined ? account : await renameAccount(d, account, name))
  }
  routes.get(
    '/account',
    reply((ctx) => serialize(ctx.state.account)),
  )
  routes.patch(
    '/account',
    reply((ctx) => update(ctx, ctx.state.account)),
  )
  routes.get(
    '/account/rate-limits',
    reply(() => ({ remaining: RATE_LIMIT })),
  )
  routes.get(
    '/account/features',
    reply(() => []),
  )
  routes.get(
    '/account/features/:feature',
    reply(() => {
      throw notFound('feature', 'account_feature')
    }),
  )
  routes.get(
    '/account/keys',
    reply(() => []),
  )
  routes.post(
    '/account/keys',
    reply(() => {
      throw new UserError('invalid_params', 'SSH keys are not supported: push over HTTPS, with the token as password.')
    }),
  )
  routes.get(
    '/account/keys/:key',
    reply(() => {
      throw notFound('key', 'key')
    }),
  )
  routes.get(
    '/users/:account',
    reply(async (ctx) => serialize(await findAccount(d.db, ctx.state.account, param(ctx, 'account')))),
  )
}

const serialize = (account: Account) =>
  ({
    id: account.id,
    email: account.email,
    name: account.name,
    allow_tracking: false,
    beta: false,
    verified: true,
    federated: false,
    two_factor_authentication: false,
    created_at: time(account.created_at),
    updated_at: time(account.updated_at),
    last_login: timeOrNull(account.last_login),
    suspended_at: null,
    delinquent_at: null,
    sms_number: null,
    default_team: null,
    default_organization: null,
    identity_provider: null,
    country_of_residence: null,
  }) satisfies Body
