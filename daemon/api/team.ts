import type { Team as Body, TeamFeature } from '@heroku-cli/schema'
import { z } from 'zod'
import { type Account, renameTeam, requireAdministrator } from '../account/account.ts'
import { record } from '../account/activity.ts'
import { roleOf } from '../account/member.ts'
import { findTeam, type Team, theTeam } from '../account/team.ts'
import { parseName } from '../app/name.ts'
import { MEANING, type Permission, permissions } from '../app/permission.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound } from '../errors.ts'
import { decide } from '../store/database.ts'
import { body } from './body.ts'
import { type Context, type Handler, param, type Routes, reply } from './context.ts'
import { page, rowKeys } from './page.ts'
import { idOf, time } from './wire.ts'

const Update = z.object({ name: z.string().optional(), default: z.boolean().nullish() })

/** Words that stand in the place of a team's name in paths. */
const RESERVED = ['apps', 'invitations', 'permissions']

/** What the team has none of. */
const EMPTY = ['addons', 'invoices', 'spaces']

const FEATURES = {
  'org-access-controls': 'Members are given permissions for each app.',
  'team-invite-acceptance': 'Who is invited decides whether to come.',
}

/** There is one team. Everybody with an account is a member, and administrators are its admins. */
export function teamRoutes(routes: Routes, d: Daemon): void {
  routes.get(
    '/teams',
    reply(async (ctx) => page(ctx, [await theTeam(d.db)], rowKeys).map((team) => serialize(team, ctx.state.account))),
  )
  routes.post(
    '/teams',
    reply(async () => {
      throw invalid(`There is one team on this host, ${(await theTeam(d.db)).name}; another one cannot be made.`)
    }),
  )
  routes.get(
    '/teams/permissions',
    reply(() => permissions.map(serializePermission)),
  )
  routes.get(
    '/teams/:team',
    withTeam(d, (team, ctx) => serialize(team, ctx.state.account)),
  )
  routes.patch(
    '/teams/:team',
    withTeam(d, (team, ctx) => update(d, team, ctx)),
  )
  routes.delete(
    '/teams/:team',
    withTeam(d, ({ name }) => {
      throw invalid(`${name} is the team of this host and stays. Its apps can be destroyed, its members removed.`)
    }),
  )
  aspectRoutes(routes, d)
}

function aspectRoutes(routes: Routes, d: Daemon): void {
  routes.get(
    '/teams/:team/features',
    withTeam(d, () => features),
  )
  routes.get(
    '/teams/:team/features/:feature',
    withTeam(d, (_team, ctx) => {
      const wanted = param(ctx, 'feature')
      const feature = features.find(({ id, name }) => id === wanted || name === wanted)
      if (!feature) throw notFound('team feature', 'team_feature')
      return feature
    }),
  )
  routes.get(
    '/teams/:team/delinquency',
    withTeam(d, () => ({ scheduled_suspension_time: null, scheduled_deletion_time: null })),
  )
  for (const aspect of EMPTY)
    routes.get(
      `/teams/:team/${aspect}`,
      withTeam(d, () => []),
    )
}

/** A route below `/teams/:team` (by name or id); every account may see the team. */
export const withTeam = (d: Daemon, answer: (team: Team, ctx: Context) => unknown): Handler =>
  reply(async (ctx) => answer(await findTeam(d.db, param(ctx, 'team')), ctx))

async function update(d: Daemon, team: Team, ctx: Context): Promise<Body> {
  const { account } = ctx.state
  const { name, default: preferred } = await body(ctx, Update)
  if (preferred) throw invalid('There is no default team: apps are personal unless a team is named.')
  if (name === undefined || name === team.name) return serialize(team, account)
  if (RESERVED.includes(name)) throw invalid(`${name} cannot be the name of a team.`)
  const now = d.clock.now()
  await decide(d.db, async (tx) => {
    await requireAdministrator(tx, account)
    await renameTeam(tx, parseName(name), now)
    await record(tx, account, { app: null, text: `Renamed the team ${team.name} to ${name}`, now })
  })
  return serialize(await theTeam(d.db), account)
}

export const serializePermission = (name: Permission) => ({ name, description: `May ${MEANING[name]}.` })

const serialize = ({ id, name, created_at, updated_at }: Team, account: Account) =>
  ({
    id,
    name,
    role: roleOf(account),
    type: 'team',
    default: false,
    credit_card_collections: false,
    enterprise_account: null,
    identity_provider: null,
    membership_limit: null,
    provisioned_licenses: false,
    created_at: time(created_at),
    updated_at: time(updated_at),
  }) satisfies Body

const features = Object.entries(FEATURES).map(
  ([name, description]) =>
    ({
      id: idOf('team-feature', name),
      name,
      display_name: name,
      description,
      doc_url: 'https://devcenter.heroku.com/articles/app-permissions',
      feedback_email: 'feedback@heroku.com',
      enabled: true,
      state: 'general',
      created_at: time(0),
      updated_at: time(0),
    }) satisfies TeamFeature,
)
