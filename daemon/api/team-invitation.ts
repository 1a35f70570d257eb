import type { TeamInvitation as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import {
  findInvitation,
  type Invitation,
  inviteAccount,
  listInvitations,
  revokeInvitation,
} from '../account/invitation.ts'
import { theTeam } from '../account/team.ts'
import type { Daemon } from '../daemon.ts'
import { invalid } from '../errors.ts'
import { emailsOf } from './app.ts'
import { body } from './body.ts'
import { type Context, created, param, type Routes, reply } from './context.ts'
import { publicUrl } from './link.ts'
import { page, rowKeys } from './page.ts'
import { withTeam } from './team.ts'
import { time } from './wire.ts'

/** Heroku's other roles need what is not here: collaborators are those of apps, and nobody owns the team. */
export const Membership = z.object({
  email: z.string().max(254),
  role: z.enum(['admin', 'member']),
  federated: z.boolean().nullish(),
})

export function teamInvitationRoutes(routes: Routes, d: Daemon): void {
  routes.get(
    '/teams/:team/invitations',
    withTeam(d, async (_team, ctx) => {
      const open = page(ctx, await listInvitations(d.db, d.clock.now()), rowKeys)
      return serializeApps(d, open)
    }),
  )
  routes.put(
    '/teams/:team/invitations',
    withTeam(d, async (_team, ctx) => {
      const { invitation, token } = await inviteAccount(d, ctx.state.account, await body(ctx, Membership))
      showLink(d, ctx, token)
      return created(ctx, await serialize(d, invitation))
    }),
  )
  routes.delete(
    '/teams/:team/invitations/:invitation',
    withTeam(d, async (_team, ctx) =>
      serialize(d, await revokeInvitation(d, ctx.state.account, param(ctx, 'invitation'))),
    ),
  )
  routes.get(
    '/teams/invitations/:token',
    reply(async (ctx) => serialize(d, await findInvitation(d.db, param(ctx, 'token'), d.clock.now()))),
  )
  routes.post(
    '/teams/invitations/:token/accept',
    reply(async (ctx) => {
      const { email } = await findInvitation(d.db, param(ctx, 'token'), d.clock.now())
      throw invalid(
        `This makes an account for ${email}, which needs a password: open ${linkOf(d, ctx, param(ctx, 'token'))} in a browser.`,
      )
    }),
  )
}

/** Nobody else learns of the link, and it is not shown again. */
export const showLink = (d: Daemon, ctx: Context, token: string): void =>
  ctx.set(
    'X-Heroku-Warning',
    `No mail is sent here. Pass this link on to whom you invite; it is good once: ${linkOf(d, ctx, token)}`,
  )

const linkOf = (d: Daemon, ctx: Context, token: string): string =>
  `${publicUrl(ctx, d.config)}/invitations/${encodeURIComponent(token)}`

const serialize = async (d: Daemon, invitation: Invitation): Promise<Body> => {
  const [answer = {}] = await serializeApps(d, [invitation])
  return answer
}

async function serializeApps(d: Daemon, invitations: Invitation[]): Promise<Body[]> {
  const { id, name } = await theTeam(d.db)
  const inviters = await emailsOf(
    d,
    invitations.map(({ invited_by }) => invited_by),
  )
  return invitations.map(
    (invitation) =>
      ({
        id: invitation.id,
        team: { id, name },
        role: invitation.role,
        user: { id: invitation.id, email: invitation.email, name: null },
        invited_by: { id: invitation.invited_by, email: inviters.get(invitation.invited_by) ?? '', name: null },
        created_at: time(invitation.created_at),
        updated_at: time(invitation.updated_at),
      }) satisfies Body,
  )
}
