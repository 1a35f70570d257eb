import type { PasswordReset as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import type { Account } from '../account/account.ts'
import { acceptInvitation, findInvitation, resetPassword } from '../account/invitation.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound } from '../errors.ts'
import { body } from './body.ts'
import { created, param, type Routes, reply } from './context.ts'
import { tellLink } from './invitation.ts'
import { time } from './wire.ts'

const Reset = z.object({ email: z.string().max(254) })
const Finalize = z.object({ password: z.string().max(1000), password_confirmation: z.string().max(1000) })

/** An administrator makes a one-time link, for others and for itself; whoever has it chooses a password. */
export function passwordResetRoutes({ open, closed }: { open: Routes; closed: Routes }, d: Daemon): void {
  closed.post(
    '/password-resets',
    reply(async (ctx) => {
      const { email } = await body(ctx, Reset)
      const { account, invitation, token } = await resetPassword(d, ctx.state.account, email)
      tellLink(d, ctx, { email: account.email, token })
      return created(ctx, serialize(account, invitation.created_at))
    }),
  )
  open.post(
    '/password-resets/:token/actions/finalize',
    reply(async (ctx) => {
      const token = param(ctx, 'token')
      const { password, password_confirmation } = await body(ctx, Finalize)
      if (password !== password_confirmation) throw invalid('The two passwords are not the same.')
      const { account_id, created_at } = await findInvitation(d.db, token, d.clock.now())
      if (account_id === null) throw notFound('password reset', 'password_reset')
      return serialize(await acceptInvitation(d, token, { password, from: ctx.ip }), created_at)
    }),
  )
}

const serialize = ({ id, email }: Account, at: number) => ({ created_at: time(at), user: { id, email } }) satisfies Body
