/** Why there is no certificate. The message is for the app's owner and may hold the authority's words, bounded. */
export class Problem extends Error {
  /** `name`: the authority does not certify this name as things are. `authority`: it could not be asked, or refuses us. */
  readonly kind: 'name' | 'authority'
  /** RFC 8555 6.7, such as `badNonce`; empty when it did not say. */
  readonly type: string
  /** ms, when it says so */
  readonly retryAfter: number | undefined
  constructor(kind: Problem['kind'], message: string, more: { type?: string; retryAfter?: number | undefined } = {}) {
    super(message)
    this.kind = kind
    this.type = more.type ?? ''
    this.retryAfter = more.retryAfter
  }
}

/** What is about the name, and not about us (RFC 8555 6.7). */
const OF_NAMES = [
  ...['caa', 'connection', 'dns', 'incorrectResponse', 'rejectedIdentifier', 'tls', 'unauthorized'],
  'unsupportedIdentifier',
]
const URN = 'urn:ietf:params:acme:error:'
const SHOWN = 400

/** Of an error document (RFC 7807) as an authority sends it, in an answer or in an order. */
export function problemOf(document: unknown, otherwise: string, retryAfter?: number): Problem {
  const { type, detail }: { type?: unknown; detail?: unknown } = Object(document)
  const name = typeof type === 'string' && type.startsWith(URN) ? type.slice(URN.length, URN.length + 40) : ''
  const text = (typeof detail === 'string' ? detail : otherwise).replace(/[^\x20-\x7e]+/g, ' ')
  const shown = text.length > SHOWN ? `${text.slice(0, SHOWN)}...` : text
  return new Problem(OF_NAMES.includes(name) ? 'name' : 'authority', shown, { type: name, retryAfter })
}

/** ms from a Retry-After: seconds, or a date (RFC 9110 10.2.3). */
export function retryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined
  const wait = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now
  return Number.isFinite(wait) ? Math.max(0, wait) : undefined
}
