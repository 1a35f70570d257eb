import type { Account as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import { type Account, changeAccount, findAccount } from '../account/account.ts'
import { record } from '../account/activity.ts'
import { changePassword } from '../account/login.ts'
import { removeAccount } from '../app/departure.ts'
import type { Daemon } from '../daemon.ts'
import { notFound, UserError } from '../errors.ts'
import { decide } from '../store/database.ts'
import { body } from './body.ts'
import { type Context, param, type Routes, reply } from './context.ts'
import { repositories } from './review-app-config.ts'
import { time, timeOrNull } from './wire.ts'

const flag = z.boolean().transform((on): 0 | 1 => (on ? 1 : 0))
const Update = z.object({
  name: z.string().max(200).nullable().optional(),
  allow_tracking: flag.optional(),
  beta: flag.optional(),
  password: z.string().optional(),
  new_password: z.string().optional(),
})

export function accountRoutes(routes: Routes, d: Daemon): void {
  const named = (ctx: Context) => findAccount(d.db, ctx.state.account, param(ctx, 'account'))
  const remove = async (ctx: Context, account: Account) => {
    await removeAccount(d, ctx.state.account, account)
    return serialize(account)
  }
  routes.get(
    '/account',
    reply((ctx) => serialize(ctx.state.account)),
  )
  routes.patch(
    '/account',
    reply((ctx) => update(d, ctx)),
  )
  routes.delete(
    '/account',
    reply((ctx) => remove(ctx, ctx.state.account)),
  )
  routes.get(
    '/account/rate-limits',
    reply((ctx) => ({ remaining: ctx.state.remaining })),
  )
  routes.get(
    '/account/features',
    reply(() => []),
  )
  routes.get(
    '/account/features/:feature',
    reply((ctx) => {
      if (param(ctx, 'feature') === repositories.name) return repositories
      throw notFound('feature', 'account_feature')
    }),
  )
  routes.patch(
    '/account/features/:feature',
    reply(() => {
      throw notFound('feature', 'account_feature')
    }),
  )
  routes.get(
    '/users/:account',
    reply(async (ctx) => {
      const account = await named(ctx)
      // the scope `identity` is for oneself
      if (account.id !== ctx.state.account.id && !ctx.state.scopes.includes('global')) throw notFound('user', 'user')
      return serialize(account)
    }),
  )
  routes.patch(
    '/users/:account',
    reply(async (ctx) => {
      if ((await named(ctx)).id !== ctx.state.account.id)
        throw new UserError('forbidden', 'Only whoever has an account may change it.')
      return update(d, ctx)
    }),
  )
  routes.delete(
    '/users/:account',
    reply(async (ctx) => remove(ctx, await named(ctx))),
  )
}

async function update(d: Daemon, ctx: Context): Promise<Body> {
  const { account, session } = ctx.state
  const { password, new_password: next, ...wanted } = await body(ctx, Update)
  if (next !== undefined) await changePassword(d, account, { password, next, session })
  const changes = Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined))
  if (Object.keys(changes).length === 0) return serialize(account)
  return decide(d.db, async (tx) => {
    const now = d.clock.now()
    await record(tx, account, { app: null, text: `Changed ${Object.keys(changes).join(', ')} of the account`, now })
    return serialize(await changeAccount(tx, account, { ...changes, now }))
  })
}

const serialize = (account: Account) =>
  ({
    id: account.id,
    email: account.email,
    name: account.name,
    allow_tracking: account.allow_tracking === 1,
    beta: account.beta === 1,
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
