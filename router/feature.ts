import type { Fields } from './fields.ts'
import type { RequestHead } from './head.ts'
import type { AppRoute } from './protocol.ts'

/** What dynos get of a request, as far as it is not the same for all. Pure. */

type Features = Pick<AppRoute, 'fresh' | 'passContinue' | 'platform'>

/** Whether the dyno is to be asked for the leave to send the body. */
export const passesContinue = (head: RequestHead, route: Features | undefined): boolean =>
  head.expectsContinue && route?.passContinue === true

/** Fields that are added to the request. */
export function added(head: RequestHead, route: Features | undefined): Fields {
  const asked = passesContinue(head, route)
  const fresh = route?.fresh === true && head.upgrade === ''
  if (route?.platform !== undefined) return ['sluice-router', 'Sluice-Router', route.platform]
  return asked || fresh ? [...(asked ? EXPECT : NONE), ...(fresh ? CLOSE : NONE)] : NONE
}

const NONE: Fields = []
const EXPECT: Fields = ['expect', 'Expect', '100-continue']
const CLOSE: Fields = ['connection', 'Connection', 'close']

/** Methods whose requests may be done twice; only these does a proxy send again by itself (RFC 9110 9.2.2). */
export const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

/** It could be sent once more should the dyno just be closing the connection. */
export const isRepeatable = ({ body, method }: RequestHead): boolean => body === 0 && IDEMPOTENT.has(method)
