import { z } from 'zod'
import { acceptInvitation, findInvitation } from '../account/invitation.ts'
import type { Daemon } from '../daemon.ts'
import { UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { type Context, param, type Routes } from './context.ts'
import { form } from './form.ts'
import { alert, html, pageRoute, show } from './html.ts'
import { apiUrl, publicUrl } from './link.ts'

const Accept = z.object({
  name: z.string().trim().max(200).default(''),
  password: z.string().max(1000).default(''),
  again: z.string().max(1000).default(''),
})

/** The page behind a one-time link. The link is the secret, so that nobody else can send the form. */
export function invitationRoutes(open: Routes, d: Daemon): void {
  open.get(
    '/invitations/:token',
    pageRoute(async (ctx) => showForm(d, ctx)),
  )
  open.post(
    '/invitations/:token',
    pageRoute(async (ctx) => accept(d, ctx)),
  )
}

/** Tells the client that made a link, once, in the header that the official CLI prints. No mail is sent. */
export function tellLink(d: Daemon, ctx: Context, { email, token }: { email: string; token: string }): void {
  const days = limits.invitation / (24 * 60 * 60 * 1000)
  const link = `${publicUrl(ctx, d.config)}/invitations/${token}`
  const text = `No mail was sent. Give this link to ${email}; it is good once, for ${days} days: ${link}`
  ctx.set('X-Heroku-Warning', text.replace(/[^ -~]/g, '?'))
}

async function showForm(d: Daemon, ctx: Context, { status = 200, name = '', message = '' } = {}): Promise<void> {
  const { email, account_id } = await findInvitation(d.db, param(ctx, 'token'), d.clock.now())
  const { least, most } = limits.password
  const isNew = account_id === null
  const nameField = html`<label for="name">Your name</label>
<input id="name" name="name" autocomplete="name" maxlength="200" value="${name}">`
  const main = html`${alert(message || undefined)}
<p>${isNew ? 'You are invited as' : 'Choose a new password for'} <strong>${email}</strong>.</p>
<form method="post">
<input type="email" name="email" autocomplete="username" value="${email}" readonly aria-label="Email">
${isNew ? nameField : undefined}
<label for="password">Password, at least ${least} characters</label>
<input id="password" name="password" type="password" autocomplete="new-password" required minlength="${least}" maxlength="${most}">
<label for="again">The same password again</label>
<input id="again" name="again" type="password" autocomplete="new-password" required maxlength="${most}">
<button>${isNew ? 'Make the account' : 'Set the password'}</button>
</form>`
  show(ctx, status, { title: isNew ? 'Welcome to Sluice' : 'A new password', main })
}

async function accept(d: Daemon, ctx: Context): Promise<void> {
  const { name, password, again } = await form(ctx, Accept)
  if (password !== again) return showForm(d, ctx, { status: 422, name, message: 'The two passwords are not the same.' })
  try {
    const given = { name: name || undefined, password, from: ctx.ip }
    const { email } = await acceptInvitation(d, param(ctx, 'token'), given)
    const main = html`<p>You can log in as <strong>${email}</strong>:</p>
<pre>export HEROKU_HOST=${apiUrl(ctx)}
heroku login -i</pre>`
    show(ctx, 200, { title: 'Your password is set', main })
  } catch (error) {
    if (!(error instanceof UserError) || error.id !== 'invalid_params') throw error
    await showForm(d, ctx, { status: 422, name, message: error.message })
  }
}
