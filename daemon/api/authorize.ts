import { z } from 'zod'
import type { Account } from '../account/account.ts'
import { type Client, clientNamed } from '../account/client.ts'
import { grantAuthorization } from '../account/grant.ts'
import { checkCredentials } from '../account/login.ts'
import { parseScopes, type Scope } from '../account/scope.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, UserError } from '../errors.ts'
import type { Context, Routes } from './context.ts'
import { form } from './form.ts'
import { alert, credentialFields, html, pageRoute, show } from './html.ts'

/** What a client asks for (RFC 6749, 4.1.1). Least privilege when it does not say. */
const Ask = z.object({
  client_id: z.string().max(100),
  response_type: z.literal('code').default('code'),
  redirect_uri: z.string().max(2000).optional(),
  scope: z.string().max(200).default('identity'),
  state: z.string().max(2000).optional(),
})
const Decide = Ask.extend({
  decision: z.enum(['allow', 'deny']).default('allow'),
  email: z.string().max(254).default(''),
  password: z.string().max(1000).default(''),
})

interface Request {
  client: Client
  scope: Scope[]
  state: string | undefined
}

/** OAuth's web flow: a third party's client sends somebody here, who says yes or no, and is sent back with a code. */
export function authorizeRoutes(open: Routes, d: Daemon): void {
  open.get(
    '/oauth/authorize',
    pageRoute(async (ctx) => showForm(ctx, await requested(d, Ask.parse(ctx.query)))),
  )
  open.post(
    '/oauth/authorize',
    pageRoute(async (ctx) => decide(d, ctx)),
  )
}

/** Nobody is sent anywhere before it is known that the address is the client's: exactly as registered. */
async function requested(d: Daemon, asked: z.infer<typeof Ask>): Promise<Request> {
  const client = await clientNamed(d.db, asked.client_id)
  if (!client) throw invalid('There is no client with this client_id. The link that brought you here is wrong.')
  if (asked.redirect_uri !== undefined && asked.redirect_uri !== client.redirect_uri)
    throw invalid(`The redirect_uri is not the one that ${client.name} has registered.`)
  return { client, scope: parseScopes(asked.scope.split(/[\s,]+/).filter(Boolean)), state: asked.state }
}

async function decide(d: Daemon, ctx: Context): Promise<void> {
  const { decision, email, password, ...asked } = await form(ctx, Decide)
  const request = await requested(d, asked)
  if (decision === 'deny') return sendBack(ctx, request, { error: 'access_denied' })
  let account: Account
  try {
    account = await checkCredentials(d, { email, password, from: ctx.ip })
  } catch (error) {
    if (!(error instanceof UserError) || error.id !== 'unauthorized') throw error
    return showForm(ctx, request, { status: 401, email, message: 'Email or password is wrong.' })
  }
  const { client, scope } = request
  const { code } = await grantAuthorization(d, account, { client, scope, description: client.name })
  sendBack(ctx, request, { code })
}

function sendBack(ctx: Context, { client, state }: Request, answer: Record<string, string>): void {
  const url = new URL(client.redirect_uri)
  for (const [name, value] of Object.entries({ ...answer, ...(state === undefined ? {} : { state }) }))
    url.searchParams.set(name, value)
  ctx.set('Cache-Control', 'no-store')
  ctx.set('Referrer-Policy', 'no-referrer')
  ctx.set('Location', url.href)
  ctx.status = 303
  ctx.body = ''
}

const MEANING: Record<Scope, string> = {
  global: 'everything that you may do',
  identity: 'see who you are',
  read: 'see your apps, but not their config vars',
  write: 'see and change your apps, but not their config vars',
  'read-protected': 'see your apps and their config vars',
  'write-protected': 'see and change your apps and their config vars',
}

function showForm(
  ctx: Context,
  { client, scope, state }: Request,
  { status = 200, email = '', message = '' } = {},
): void {
  const { origin, host } = new URL(client.redirect_uri)
  const main = html`${alert(message || undefined)}
<p><strong>${client.name}</strong> at <strong>${host}</strong> asks for your permission to:</p>
<ul>${scope.map((one) => html`<li>${MEANING[one]} (<code>${one}</code>)</li>`)}</ul>
<form method="post" action="/oauth/authorize">
<input type="hidden" name="client_id" value="${client.id}">
<input type="hidden" name="scope" value="${scope.join(' ')}">
${state === undefined ? undefined : html`<input type="hidden" name="state" value="${state}">`}
${credentialFields(email)}
<button name="decision" value="allow">Allow</button><button name="decision" value="deny" formnovalidate>Refuse</button>
</form>`
  show(ctx, status, { title: 'Authorize a client', main, leadsTo: origin })
}
