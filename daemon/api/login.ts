import { Readable } from 'node:stream'
import { z } from 'zod'
import type { Decision } from '../account/browser-login.ts'
import { checkCredentials, logIn } from '../account/login.ts'
import type { Daemon } from '../daemon.ts'
import { messageOf, UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { tokenOf } from './authentication.ts'
import { body } from './body.ts'
import { type Context, created, param, type Routes, reply } from './context.ts'
import { form } from './form.ts'
import { alert, credentialFields, html, pageRoute, show } from './html.ts'
import { keepAlive } from './stream.ts'

const Begin = z.object({ description: z.string().max(200).default('A client that does not say its name') })
const Decide = z.object({
  decision: z.enum(['allow', 'deny']).default('allow'),
  email: z.string().max(254).default(''),
  password: z.string().max(1000).default(''),
})

/** Clients give up on an answer that is silent for a minute. JSON may begin with blanks. */
const SIGN = { every: 20_000, text: Buffer.from(' ') }

/** `heroku login`: the client asks, a person says yes in a browser, the client gets a token. */
export function loginRoutes(open: Routes, d: Daemon): void {
  open.post(
    '/auth',
    reply(async (ctx) => {
      const { description } = await body(ctx, Begin)
      const { id, secret } = d.browserLogins.begin({ description, from: ctx.ip })
      return created(ctx, { browser_url: `/auth/browser/${id}`, cli_url: `/auth/cli/${id}`, token: secret })
    }),
  )
  open.get(
    '/auth/browser/:login',
    pageRoute(async (ctx) => showForm(d, ctx)),
  )
  open.post(
    '/auth/browser/:login',
    pageRoute(async (ctx) => decide(d, ctx)),
  )
  open.get('/auth/cli/:login', async (ctx) => {
    const gone = new AbortController()
    ctx.res.once('close', () => gone.abort())
    const decision = d.browserLogins.collect(param(ctx, 'login'), tokenOf(ctx.get('Authorization')) ?? '', gone.signal)
    ctx.status = 200
    ctx.type = 'application/json'
    ctx.set('Cache-Control', 'no-store')
    ctx.body = Readable.from(keepAlive(answer(d, ctx, decision), SIGN.every, SIGN.text), { objectMode: false })
    ctx.flushHeaders()
  })
}

function showForm(d: Daemon, ctx: Context, { status = 200, email = '', message = '' } = {}): void {
  const { description, from } = d.browserLogins.waiting(param(ctx, 'login'))
  const main = html`${alert(message || undefined)}
<p>The machine at <strong>${from}</strong> asks to be logged in. It calls itself:</p>
<pre>${description}</pre>
<p>Go on only if you have just run <code>heroku login</code> there. It gets full access to your account.</p>
<form method="post">${credentialFields(email)}
<button name="decision" value="allow">Log in</button><button name="decision" value="deny" formnovalidate>Refuse</button>
</form>`
  show(ctx, status, { title: 'Log in to Sluice', main })
}

async function decide(d: Daemon, ctx: Context): Promise<void> {
  const id = param(ctx, 'login')
  d.browserLogins.waiting(id)
  const { decision, email, password } = await form(ctx, Decide)
  if (decision === 'deny') {
    d.browserLogins.refuse(id)
    return show(ctx, 200, {
      title: 'Refused',
      main: html`<p>The machine was not logged in. You can close this page.</p>`,
    })
  }
  const provenAt = d.clock.now()
  try {
    d.browserLogins.approve(id, await checkCredentials(d, { email, password, from: ctx.ip }), provenAt)
  } catch (error) {
    if (!(error instanceof UserError) || error.id !== 'unauthorized') throw error
    return showForm(d, ctx, { status: 401, email, message: 'Email or password is wrong.' })
  }
  show(ctx, 200, { title: 'Logged in', main: html`<p>Go back to your terminal. You can close this page.</p>` })
}

/** The token is made when its reader is there, so that it is never kept. */
async function* answer(d: Daemon, ctx: Context, decision: Promise<Decision>): AsyncGenerator<Buffer> {
  yield Buffer.from(JSON.stringify(await told(d, ctx, await decision)))
}

async function told(
  d: Daemon,
  ctx: Context,
  decision: Decision,
): Promise<{ access_token: string } | { error: string }> {
  if (decision === 'refused') return { error: 'The login was refused in the browser.' }
  if (decision === 'expired') return { error: 'The login was not finished in time. Run `heroku login` again.' }
  try {
    const account = { ...decision.account, from: ctx.ip }
    const { description } = decision.asked
    const wish = {
      description,
      scope: ['global' as const],
      expiresIn: limits.session / 1000,
      provenAt: decision.provenAt,
    }
    return { access_token: (await logIn(d, account, wish)).token }
  } catch (error) {
    d.log.warn('a login by browser failed', { request: ctx.state.requestId, error: messageOf(error) })
    return { error: error instanceof UserError ? error.message : 'Something went wrong on the platform.' }
  }
}
