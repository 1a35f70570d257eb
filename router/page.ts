import type { Fields } from './fields.ts'
import type { AppRoute } from './protocol.ts'

/** The router's own answers: Heroku's error codes (https://devcenter.heroku.com/articles/error-codes) and small pages. Pure. */

interface Problem {
  desc: string
  status: number
  at: 'info' | 'warning' | 'error'
  /** Which side broke off, for the log line. */
  sock?: 'client' | 'backend'
  /** No dyno has to do with it, so the log line names none. */
  early?: true
}

export const problems = {
  H10: { desc: 'App crashed', status: 503, at: 'error', early: true },
  H11: { desc: 'Backlog too deep', status: 503, at: 'error', early: true },
  H12: { desc: 'Request timeout', status: 503, at: 'error' },
  H13: { desc: 'Connection closed without response', status: 503, at: 'error' },
  H14: { desc: 'No web processes running', status: 503, at: 'error', early: true },
  H15: { desc: 'Idle connection', status: 503, at: 'error' },
  H17: { desc: 'Poorly formatted HTTP response', status: 503, at: 'error' },
  H18: { desc: 'Server Request Interrupted', status: 503, at: 'error', sock: 'backend' },
  H19: { desc: 'Backend connection timeout', status: 503, at: 'error' },
  H20: { desc: 'App boot timeout', status: 503, at: 'error', early: true },
  H21: { desc: 'Backend connection refused', status: 503, at: 'error' },
  H22: { desc: 'Connection limit reached', status: 503, at: 'error', early: true },
  H24: { desc: 'Forced close', status: 503, at: 'error' },
  H25: { desc: 'HTTP restriction', status: 502, at: 'error' },
  H26: { desc: 'Request Error', status: 400, at: 'error' },
  H27: { desc: 'Client Request Interrupted', status: 499, at: 'warning', sock: 'client' },
  H28: { desc: 'Client Connection Idle', status: 499, at: 'warning', sock: 'client' },
  H31: { desc: 'Misdirected Request', status: 421, at: 'error', early: true },
  H80: { desc: 'Maintenance mode', status: 503, at: 'info', early: true },
  H81: { desc: 'Blank app', status: 503, at: 'info', early: true },
  H99: { desc: 'Platform error', status: 503, at: 'error', early: true },
} as const satisfies Record<string, Problem>

export type Code = keyof typeof problems

export const problem = (code: Code): Problem => problems[code]

const reasons: Record<number, string> = {
  400: 'Bad Request',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  414: 'URI Too Long',
  417: 'Expectation Failed',
  421: 'Misdirected Request',
  431: 'Request Header Fields Too Large',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  505: 'HTTP Version Not Supported',
}

export interface Answer {
  status: number
  title: string
  text: string
}

export const noSuchApp: Answer = {
  status: 404,
  title: 'No such app',
  text: 'There is no app configured at that hostname. Perhaps the app owner has renamed it, or you mistyped the URL.',
}

/** What a visitor reads; the app's owner finds the code in the app's log. */
export function answerTo(code: Code, reason = '', route?: Pages): Answer {
  const { status, desc } = problem(code)
  if (route?.platform !== undefined && status >= 500)
    return {
      status,
      title: "The platform's API is not available",
      text: `It does not answer (${code}: ${desc}). Apps go on as they are; changes to them have to wait. Try again in a minute. If it stays so, its operator finds why in the log of the daemon.`,
    }
  if (code === 'H80')
    return {
      status,
      title: 'Offline for Maintenance',
      text: 'This application is undergoing maintenance right now. Please check back later.',
    }
  if (code === 'H81')
    return {
      status,
      title: "There's nothing here, yet.",
      text: 'This app has been created, and nothing has been deployed to it.',
    }
  if (code === 'H26') return refusal(status, reason)
  return {
    status,
    title: 'Application error',
    text: `An error occurred in the application and your page could not be served (${code}: ${desc}). If you are the application owner, check your logs for details.`,
  }
}

export const refusal = (status: number, reason: string): Answer => ({
  status,
  title: reasons[status] ?? 'Error',
  text: `The request was not understood: ${reason}.`,
})

/** A whole response of ours but for its framing. The body is ASCII. */
export interface Page {
  status: number
  reason: string
  fields: Fields
  body: string
}

/** How a page is shown: as HTML or as text, and where the app has a page of its own, in its place. */
export interface Form {
  html: boolean
  /** As Heroku's API says what is wrong. */
  json?: boolean
  /** URL of the app's own page. */
  frame?: string
}

type Pages = Pick<AppRoute, 'errorPage' | 'maintenancePage' | 'platform'>

/**
 * The built-in pages are HTML for those who ask for HTML. An app's own page (https://devcenter.heroku.com/articles/error-pages) is for
 * everybody who can take HTML at all.
 */
export function formOf(code: Code | null, route: Pages | undefined, accept: string | undefined): Form {
  if (route?.platform !== undefined && accept?.includes('json')) return { html: false, json: true }
  const frame = code === null || route === undefined ? undefined : ownPage(code, route)
  if (frame === undefined) return { html: accept?.includes('text/html') === true }
  return accept === undefined || /text\/(?:html|\*)|\*\/\*/.test(accept) ? { html: true, frame } : { html: false }
}

/** No page for what the client did wrong, and none where nothing was deployed yet. */
function ownPage(code: Code, { errorPage, maintenancePage }: Pages): string | undefined {
  if (code === 'H26' || code === 'H31' || code === 'H81') return undefined
  const url = code === 'H80' ? maintenancePage : errorPage
  return url !== undefined && URL_OF_PAGE.test(url) ? url : undefined
}

/** As Heroku's, also without a scheme: then it is that of the page around it. */
const URL_OF_PAGE = /^(?:https?:)?\/\/[!-~]{1,2000}$/

const escaped = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

/** HTML, JSON or text. */
export function pageOf(answer: Answer, { html, json, frame, requestId }: Form & { requestId: string }): Page {
  const { status, title, text } = answer
  const plain = json ? jsonOf(answer) : `${title}\n\n${text}\n`
  const body = !html ? plain : frame === undefined ? htmlOf(answer) : frameOf(title, frame)
  const type = `${json ? 'application/json' : html ? 'text/html' : 'text/plain'}; charset=utf-8`
  const fields: Fields = ['content-type', 'Content-Type', type, 'cache-control', 'Cache-Control', 'no-cache, no-store']
  if (requestId !== '') fields.push('x-request-id', 'X-Request-Id', requestId)
  return { status, reason: reasons[status] ?? 'Error', fields, body }
}

/** https://devcenter.heroku.com/articles/platform-api-reference#error-responses */
const jsonOf = ({ status, title, text }: Answer): string =>
  `${JSON.stringify({ id: status >= 500 ? 'maintenance' : 'bad_request', message: `${title}. ${text}` })}\n`

const documentOf = (title: string, style: string, body: string): string =>
  `<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${title}</title>` +
  `<style>${style}</style></head><body>${body}</body></html>\n`

const htmlOf = ({ title, text }: Answer): string =>
  documentOf(
    title,
    ':root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:15vh auto;max-width:34em;padding:0 1em}h1{font-weight:500}',
    `<h1>${title}</h1><p>${text}</p>`,
  )

/** The app's page in a frame that fills the window, as Heroku shows it. */
const frameOf = (title: string, url: string): string =>
  documentOf(
    title,
    'html,body,iframe{margin:0;padding:0;height:100%}body{overflow:hidden}iframe{width:100%;border:0}',
    `<iframe src="${escaped(url)}" title="${title}"></iframe>`,
  )
