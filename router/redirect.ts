import { isChallenge } from './challenge.ts'
import type { RequestHead } from './head.ts'
import type { Page } from './page.ts'

/** From `http:` to `https:` with the same host and path. Pure. */

/**
 * Undefined for what is not redirected. GET and HEAD get 301, all others 308, with which a client sends its method and body again
 * (RFC 9110 15.4.9). It may not be cached, so that it can be undone.
 */
export function redirectAnswer({ method, hostname, target }: RequestHead, port: number): Page | undefined {
  if (isChallenge(target)) return undefined
  const kept = method === 'GET' || method === 'HEAD'
  const path = target === '*' ? '/' : target
  const place = `https://${hostname}${port === 443 ? '' : `:${port}`}${path}`
  return {
    status: kept ? 301 : 308,
    reason: kept ? 'Moved Permanently' : 'Permanent Redirect',
    fields: [
      ...['location', 'Location', place, 'content-type', 'Content-Type', 'text/plain; charset=utf-8'],
      ...['cache-control', 'Cache-Control', 'no-store'],
    ],
    body: 'This address is served over https.\n',
  }
}
