import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { onceWritten } from './store/once.ts'

/**
 * Requests to the platform's own names come from a router of this machine, which says of each whose it is. It is believed because it knows
 * the proof, which is in its table and never goes to a client; whatever else says so is a client that tries.
 */

/** What routers show when they connect; shared with those of this host by its file mode. */
export const readRouterToken = async (data: string): Promise<string> =>
  String(await onceWritten(join(data, 'router.token'), () => randomBytes(32).toString('base64url'))).trim()

/** The value of the field `Sluice-Router`: as good as the routers' token, from which it is made, without being it. */
export const proofOf = (routerToken: string): string =>
  createHmac('sha256', routerToken).update('sluice: a request by a router').digest('base64url')

const CLAIMS = ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-port', 'sluice-router']

/**
 * Leaves of what a request claims about its way only what a router has said: from then on `X-Forwarded-For` is the client's address and
 * nothing else, `X-Forwarded-Proto` how it came, and without a router neither is there. True when it came by a router.
 */
export function believe({ headers }: IncomingMessage, proof: string): boolean {
  const routed = isEqual(String(headers['sluice-router'] ?? ''), proof)
  const client = String(headers['x-forwarded-for'] ?? '')
    .split(',')
    .at(-1)
    ?.trim()
  const proto = headers['x-forwarded-proto']
  for (const name of CLAIMS) delete headers[name]
  if (!routed || !client) return false
  headers['x-forwarded-for'] = client
  headers['x-forwarded-proto'] = proto === 'https' ? 'https' : 'http'
  return true
}

/** Where the client is, of a request that was looked at. */
export const clientOf = ({ headers, socket }: IncomingMessage): string | undefined =>
  (headers['x-forwarded-for'] as string | undefined) ?? socket.remoteAddress

function isEqual(given: string, wanted: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(wanted)]
  return one.length === other.length && timingSafeEqual(one, other)
}
