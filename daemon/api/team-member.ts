import type { TeamMember as Body } from '@heroku-cli/schema'
import type { z } from 'zod'
import { type Account, accountNamed } from '../account/account.ts'
import { inviteAccount } from '../account/invitation.ts'
import { findMember, listMembers, roleOf, setRole } from '../account/member.ts'
import { removeAccount } from '../app/departure.ts'
import type { Daemon } from '../daemon.ts'
import { body } from './body.ts'
import { type Context, param, type Routes } from './context.ts'
import { page, rowKeys } from './page.ts'
import { withTeam } from './team.ts'
import { Membership, showLink } from './team-invitation.ts'
import { time } from './wire.ts'

export function teamMemberRoutes(routes: Routes, d: Daemon): void {
  routes.get(
    '/teams/:team/members',
    withTeam(d, async (_team, ctx) =>
      page(ctx, await listMembers(d.db), { email: ({ email }) => email, ...rowKeys }).map(serialize),
    ),
  )
  routes.post(
    '/teams/:team/members',
    withTeam(d, async (_team, ctx) => invite(d, ctx, await body(ctx, Membership))),
  )
  routes.put(
    '/teams/:team/members',
    withTeam(d, async (_team, ctx) => {
      const wanted = await body(ctx, Membership)
      return (await accountNamed(d.db, wanted.email)) ? change(d, ctx, wanted) : invite(d, ctx, wanted)
    }),
  )
  routes.patch(
    '/teams/:team/members',
    withTeam(d, async (_team, ctx) => change(d, ctx, await body(ctx, Membership))),
  )
  routes.delete(
    '/teams/:team/members/:member',
    withTeam(d, async (_team, ctx) => {
      const member = await findMember(d.db, param(ctx, 'member'))
      await removeAccount(d, ctx.state.account, member)
      return serialize(member)
    }),
  )
}

type Wanted = z.infer<typeof Membership>

const change = async (d: Daemon, ctx: Context, { email, role }: Wanted): Promise<Body> =>
  serialize(await setRole(d, ctx.state.account, email, role))

/** 202: a member it is once the invitation is accepted. */
async function invite(d: Daemon, ctx: Context, wanted: Wanted): Promise<Body> {
  const { invitation, token } = await inviteAccount(d, ctx.state.account, wanted)
  showLink(d, ctx, token)
  ctx.status = 202
  return serialize({ ...invitation, name: null, admin: invitation.role === 'admin' ? 1 : 0 })
}

const serialize = (member: Pick<Account, 'id' | 'email' | 'name' | 'admin' | 'created_at' | 'updated_at'>) =>
  ({
    id: member.id,
    email: member.email,
    role: roleOf(member),
    user: { id: member.id, email: member.email, name: member.name },
    federated: false,
    identity_provider: null,
    two_factor_authentication: false,
    created_at: time(member.created_at),
    updated_at: time(member.updated_at),
  }) satisfies Body & { identity_provider: null }
