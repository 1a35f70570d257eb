/**
 * Header fields, strictly (RFC 9112 5, RFC 9110 5.5): a token, a colon, visible octets; no folding, no bare CR or LF, no other controls.
 * A list of fields is flat, three strings each: name in lower case, name as received, value without the blanks around it.
 */
export type Fields = string[]

/** Why a head is not understood; `what` says which limit or rule, for the one who answers. */
export class Malformed extends Error {
  readonly what: 'syntax' | 'too large'
  constructor(reason: string, what: 'syntax' | 'too large' = 'syntax') {
    super(reason)
    this.what = what
  }
}

export interface FieldBounds {
  line: number
  name: number
  count: number
}

const TOKEN = new Uint8Array(256)
for (const c of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
  TOKEN[c.charCodeAt(0)] = 1

const FORBIDDEN_IN_VALUE = /[^\t\x20-\x7e\x80-\xff]/

export function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (TOKEN[text.charCodeAt(i)] !== 1) return false
  return text.length > 0
}

/** Parses the lines from `start` to the blank line that ends `text`; throws Malformed. */
export function parseFields(text: string, start: number, bounds: FieldBounds): Fields {
  const fields: Fields = []
  for (let at = start; ; ) {
    const end = text.indexOf('\r\n', at)
    if (end === -1) throw new Malformed('no blank line')
    if (end === at) return fields
    if (end - at > bounds.line) throw new Malformed('header line too long', 'too large')
    if (fields.length >= bounds.count * 3) throw new Malformed('too many headers', 'too large')
    let colon = at
    while (TOKEN[text.charCodeAt(colon)] === 1) colon++
    if (colon === at || text.charCodeAt(colon) !== 58) throw new Malformed('bad header name')
    if (colon - at > bounds.name) throw new Malformed('header name too long', 'too large')
    const value = trim(text, colon + 1, end)
    if (FORBIDDEN_IN_VALUE.test(value)) throw new Malformed('bad header value')
    const name = text.slice(at, colon)
    fields.push(name.toLowerCase(), name, value)
    at = end + 2
  }
}

function trim(text: string, from: number, to: number): string {
  let start = from
  let end = to
  while (start < end && blank(text.charCodeAt(start))) start++
  while (end > start && blank(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

const blank = (c: number): boolean => c === 32 || c === 9

/** The items of a comma-separated list of tokens, in lower case. */
export const listItems = (value: string): string[] =>
  value
    .toLowerCase()
    .split(',')
    .map((item) => item.replace(/^[ \t]+|[ \t]+$/g, ''))
    .filter((item) => item !== '')

/** A Content-Length: digits only, at most 15 of them, so that it is exact as a number (RFC 9110 8.6). */
export const parseLength = (value: string): number | undefined => (/^\d{1,15}$/.test(value) ? Number(value) : undefined)
