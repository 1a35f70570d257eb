import { type Name, nameAt } from './names.ts'

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

const [TAB, LF, CR, SP, COLON] = [9, 10, 13, 32, 58]

/** 1 for what a token is made of, 2 for `_`, which some read as `-`. */
const TOKEN = new Uint8Array(256)
for (const c of "!#$%&'*+-.^`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
  TOKEN[c.charCodeAt(0)] = 1
TOKEN['_'.charCodeAt(0)] = 2

/** What a value is made of: blanks, VCHAR, obs-text. */
const VALUE = new Uint8Array(256).fill(1, 0x20).fill(0, 0x7f, 0x80)
VALUE[TAB] = 1

export function isToken(text: string): boolean {
  return text.length > 0 && tokenEnd(text, 0) === text.length
}

/** Where the token that starts here ends. */
export function tokenEnd(text: string, start: number): number {
  let at = start
  while ((TOKEN[text.charCodeAt(at)] ?? 0) !== 0) at++
  return at
}

/** One field line after the other, as they lie in a head's text. */
export class Cursor {
  /** Where the line begins, its colon is, its value begins and ends, and where the next line begins. */
  start = 0
  colon = 0
  from = 0
  to = 0
  next: number
  name: Name | undefined
  /** The name has a `_`. */
  underscored = false
  private readonly text: string
  private readonly bounds: FieldBounds
  private left: number

  /** For the lines from `start` to the blank line that ends `text`. */
  constructor(text: string, start: number, bounds: FieldBounds) {
    this.text = text
    this.next = start
    this.bounds = bounds
    this.left = bounds.count
  }

  /** False at the blank line; throws Malformed. */
  advance(): boolean {
    const { text, bounds, next: start } = this
    if (text.charCodeAt(start) === CR && text.charCodeAt(start + 1) === LF) return false
    if (--this.left < 0) throw new Malformed('too many headers', 'too large')
    let at = start
    let seen = 0
    for (let kind = TOKEN[text.charCodeAt(at)] ?? 0; kind !== 0; kind = TOKEN[text.charCodeAt(++at)] ?? 0) seen |= kind
    if (at === start || text.charCodeAt(at) !== COLON) throw new Malformed('bad header name')
    if (at - start > bounds.name) throw new Malformed('header name too long', 'too large')
    this.start = start
    this.colon = at
    this.underscored = (seen & 2) !== 0
    this.name = nameAt(text, start, at)
    this.scanValue(text, at + 1)
    return true
  }

  /** The value, or the given name, as a string. */
  value(): string {
    return this.text.slice(this.from, this.to)
  }

  given(): string {
    return this.text.slice(this.start, this.colon)
  }

  /** It is written just as we would write it. */
  get plain(): boolean {
    return this.from === this.colon + 2 && this.to === this.next - 2 && this.text.charCodeAt(this.colon + 1) === SP
  }

  private scanValue(text: string, start: number): void {
    let from = start
    while (blank(text.charCodeAt(from))) from++
    let to = from
    while ((VALUE[text.charCodeAt(to)] ?? 0) === 1) to++
    if (text.charCodeAt(to) !== CR || text.charCodeAt(to + 1) !== LF) throw new Malformed('bad header value')
    if (to - this.start > this.bounds.line) throw new Malformed('header line too long', 'too large')
    this.next = to + 2
    while (to > from && blank(text.charCodeAt(to - 1))) to--
    this.from = from
    this.to = to
  }
}

const blank = (c: number): boolean => c === SP || c === TAB

/** Parses the lines from `start` to the blank line that ends `text`; throws Malformed. */
export function parseFields(text: string, start: number, bounds: FieldBounds): Fields {
  const fields: Fields = []
  const cursor = new Cursor(text, start, bounds)
  while (cursor.advance()) {
    const given = cursor.given()
    fields.push(given.toLowerCase(), given, cursor.value())
  }
  return fields
}

function trim(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && blank(text.charCodeAt(start))) start++
  while (end > start && blank(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

/** The items of a comma-separated list of tokens, in lower case. */
export function listItems(value: string): readonly string[] {
  return USUAL.get(value) ?? split(value)
}

const split = (value: string): string[] =>
  value
    .toLowerCase()
    .split(',')
    .map((item) => trim(item))
    .filter((item) => item !== '')

const USUAL = new Map(['keep-alive', 'Keep-Alive', 'close', 'Upgrade', 'upgrade'].map((value) => [value, split(value)]))

/** A Content-Length: digits only, at most 15 of them, so that it is exact as a number (RFC 9110 8.6). */
export function parseLength(value: string): number | undefined {
  if (value.length === 0 || value.length > 15) return undefined
  let length = 0
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) return undefined
    length = length * 10 + digit
  }
  return length
}
