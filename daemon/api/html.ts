import { createHash } from 'node:crypto'
import { STATUS } from '../errors.ts'
import type { Context, Handler } from './context.ts'
import { userError } from './refusal.ts'

/** Text that is HTML already. */
export class Html {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

type Piece = string | number | Html | Html[] | undefined

/** HTML in which whatever is put in is escaped, unless it is HTML already. */
export const html = (texts: TemplateStringsArray, ...pieces: Piece[]): Html =>
  new Html(texts.map((text, index) => text + render(pieces[index])).join(''))

const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

function render(piece: Piece): string {
  if (Array.isArray(piece)) return piece.map(render).join('')
  if (piece instanceof Html) return piece.text
  return String(piece ?? '').replace(/[&<>"']/g, (sign) => ESCAPES[sign] ?? sign)
}

const STYLE = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
main { max-width: 26rem; margin: 10vh auto; padding: 0 1rem }
label { display: block; margin-top: 1rem; font-weight: 600 }
input { box-sizing: border-box; width: 100%; padding: .5rem; font: inherit }
button { margin: 1.5rem .5rem 0 0; padding: .5rem 1.5rem; font: inherit }
pre { overflow-x: auto; padding: .5rem; border: 1px solid }
[role=alert] { padding: .5rem; border: 2px solid }
`
const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64')

interface Page {
  title: string
  main: Html
  /** Where a form may lead beside here: the origin of a URL that it is redirected to. */
  leadsTo?: string
}

/** Answers with a page of ours: no script, nothing from elsewhere, kept nowhere, framed by nobody, and its URL told to nobody. */
export function show(ctx: Context, status: number, { title, main, leadsTo }: Page): void {
  const form = ["'self'", ...(leadsTo ? [leadsTo] : [])].join(' ')
  const policy = [
    "default-src 'none'",
    `style-src 'sha256-${STYLE_HASH}'`,
    `form-action ${form}`,
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ]
  ctx.set('Content-Security-Policy', policy.join('; '))
  ctx.set('X-Frame-Options', 'DENY')
  ctx.set('Referrer-Policy', 'no-referrer')
  ctx.set('Cache-Control', 'no-store')
  ctx.status = status
  ctx.type = 'text/html; charset=utf-8'
  ctx.body = html`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title} – Sluice</title><style>${new Html(STYLE)}</style></head>
<body><main><h1>${title}</h1>
${main}
</main></body>
</html>
`.text
}

/** A route that is read in a browser: what is refused is a page, too. */
export const pageRoute =
  (handler: Handler): Handler =>
  async (ctx) => {
    try {
      await handler(ctx)
    } catch (thrown) {
      const error = userError(thrown, ctx.state.requestId)
      if (error.id === 'internal_server_error') throw thrown
      if (error.retryAfter !== undefined) ctx.set('Retry-After', String(error.retryAfter))
      show(ctx, STATUS[error.id], { title: 'That did not work', main: html`<p>${error.message}</p>` })
    }
  }

export const alert = (message: string | undefined): Html =>
  message === undefined ? html`` : html`<p role="alert">${message}</p>`

/** Asks who it is. */
export const credentialFields = (email = ''): Html => html`
<label for="email">Email</label>
<input id="email" name="email" type="email" autocomplete="username" required maxlength="254" value="${email}">
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required maxlength="256">`
