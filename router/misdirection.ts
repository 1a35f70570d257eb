import type { Entrance } from './client.ts'
import type { Router } from './router.ts'

/**
 * True when the connection was made for another app's host, under a certificate that is not this host's: what the client believes of one
 * app must not come from another (RFC 9110 7.4). A client that names none, or a name of no app, is taken at its word.
 */
export function misdirected(router: Router, { asked }: Entrance, hostname: string): boolean {
  if (asked === undefined || asked.name === hostname) return false
  const app = router.find(asked.name)
  if (app === undefined || app === router.find(hostname)) return false
  return router.certificateOf(hostname) !== asked.certificate
}
