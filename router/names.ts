/** Field names that mean something to a router, and how they are found in a head's text without a string being made. */

/** Removed both ways; Content-Length and Transfer-Encoding are written anew from what was understood. */
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'te',
  'proxy-authorization',
  'proxy-connection',
  'transfer-encoding',
  'content-length',
  'upgrade',
  'http2-settings',
]

/** Ours to say; a client's own are replaced or appended to, and never removed at its wish. */
const OURS = [
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-port',
  'x-request-start',
  'x-request-id',
  'via',
  'expect',
  'sluice-router',
]

/** What `Connection` cannot make us drop. */
export const KEPT = new Set(['host', 'x-forwarded-host', 'trailer', 'cookie', 'authorization'])

/** Framing, routing and trust: forbidden in trailers, and dropped when spelt with `_`, which CGI-like servers read as `-`. */
export const SENSITIVE = new Set([...HOP_BY_HOP, ...OURS, ...KEPT, 'set-cookie'])

export const DROPPED_FROM_REQUEST = new Set([...HOP_BY_HOP, ...OURS])
export const DROPPED_FROM_RESPONSE = new Set([...HOP_BY_HOP, 'via'])

export interface Name {
  /** Lower case. */
  readonly text: string
  readonly droppedFromRequest: boolean
  readonly droppedFromResponse: boolean
}

/** By first letter and length. */
const known: (Name[] | undefined)[] = new Array(1024).fill(undefined)

const slot = (first: number, length: number): number => ((first & 31) << 5) | (length & 31)

for (const text of new Set([...DROPPED_FROM_REQUEST, ...DROPPED_FROM_RESPONSE, 'host', 'set-cookie'])) {
  const at = slot(text.charCodeAt(0), text.length)
  const name = {
    text,
    droppedFromRequest: DROPPED_FROM_REQUEST.has(text),
    droppedFromResponse: DROPPED_FROM_RESPONSE.has(text),
  }
  known[at] = [...(known[at] ?? []), name]
}

/** The name at this place of `text`, in whatever case; undefined when it is just another. */
export function nameAt(text: string, start: number, end: number): Name | undefined {
  const names = known[slot(text.charCodeAt(start), end - start)]
  if (names === undefined) return undefined
  for (const name of names) if (same(name.text, text, start, end)) return name
  return undefined
}

function same(name: string, text: string, start: number, end: number): boolean {
  if (name.length !== end - start) return false
  for (let i = 0; i < name.length; i++) {
    const c = text.charCodeAt(start + i)
    if (name.charCodeAt(i) !== (c >= 65 && c <= 90 ? c | 32 : c)) return false
  }
  return true
}

/** Spelt with `_` to be taken for another. */
export const isAlias = (name: string): boolean => name.includes('_') && SENSITIVE.has(name.replaceAll('_', '-'))
