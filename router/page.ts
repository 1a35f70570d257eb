import type { Fields } from './fields.ts'

/** The router's own answers: Heroku's error codes (https://devcenter.heroku.com/articles/error-codes) and small pages. Pure. */

interface Problem {
  desc: string
  status: number
  at: 'info' | 'warning' | 'error'
  /** Which side broke off, for the log line. */
  sock?: 'client' | 'backend'
}

export const problems = {
  H10: { desc: 'App crashed', status: 503, at: 'error' },
  H12: { desc: 'Request timeout', status: 503, at: 'error' },
  H13: { desc: 'Connection closed without response', status: 503, at: 'error' },
  H14: { desc: 'No web processes running', status: 503, at: 'error' },
  H15: { desc: 'Idle connection', status: 503, at: 'error' },
  H17: { desc: 'Poorly formatted HTTP response', status: 503, at: 'error' },
  H18: { desc: 'Server Request Interrupted', status: 503, at: 'error', sock: 'backend' },
  H19: { desc: 'Backend connection timeout', status: 503, at: 'error' },
  H20: { desc: 'App boot timeout', status: 503, at: 'error' },
  H21: { desc: 'Backend connection refused', status: 503, at: 'error' },
  H24: { desc: 'Forced close', status: 503, at: 'error' },
  H25: { desc: 'HTTP restriction', status: 502, at: 'error' },
  H26: { desc: 'Request Error', status: 400, at: 'error' },
  H27: { desc: 'Client Request Interrupted', status: 499, at: 'warning', sock: 'client' },
  H28: { desc: 'Client Connection Idle', status: 499, at: 'warning', sock: 'client' },
  H80: { desc: 'Maintenance mode', status: 503, at: 'info' },
  H81: { desc: 'Blank app', status: 503, at: 'info' },
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
export function answerTo(code: Code, reason = ''): Answer {
  const { status, desc } = problem(code)
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

/** HTML for those who ask for it, else text. */
export function pageOf({ status, title, text }: Answer, to: { html: boolean; requestId: string }): Page {
  const body = to.html
    ? `<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title>` +
      '<style>body{font:16px/1.5 system-ui,sans-serif;margin:15vh auto;max-width:34em;padding:0 1em;color:#333}h1{font-weight:500}</style>' +
      `</head><body><h1>${title}</h1><p>${text}</p></body></html>\n`
    : `${title}\n\n${text}\n`
  const type = `text/${to.html ? 'html' : 'plain'}; charset=utf-8`
  const fields: Fields = ['content-type', 'Content-Type', type, 'cache-control', 'Cache-Control', 'no-cache, no-store']
  if (to.requestId !== '') fields.push('x-request-id', 'X-Request-Id', to.requestId)
  return { status, reason: reasons[status] ?? 'Error', fields, body }
}
