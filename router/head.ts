import {
  Cursor,
  type FieldBounds,
  type Fields,
  isToken,
  listItems,
  Malformed,
  parseFields,
  parseLength,
  tokenEnd,
} from './fields.ts'
import type { Limits } from './limits.ts'
import { Cutter, type Passage } from './passage.ts'

/**
 * Strict HTTP/1.1 heads (RFC 9112). What two parsers could read in two ways is refused, not repaired: that is what request smuggling
 * lives on. Pure; text is latin1 and ends with the blank line.
 */

/** A count of bytes, chunks, all until the connection closes, or all until its carrier says that it has ended (HTTP/2). */
export type BodyLength = number | 'chunked' | 'close' | 'ended'

export interface RequestHead {
  method: string
  /** In origin form, or `*`. */
  target: string
  /** 0 for HTTP/1.0. */
  minor: number
  readonly fields: Fields
  host: string
  /** Lower case, without port and final dot. */
  hostname: string
  body: BodyLength
  keepAlive: boolean
  /** Names in `Connection`, lower case. */
  connection: readonly string[]
  /** The protocol asked for, or empty. */
  upgrade: string
  expectsContinue: boolean
  /** There was a Content-Length. */
  lengthGiven?: boolean
  /** What of the fields goes on, when it is known already. */
  passage?: Passage | undefined
}

export interface ResponseHead {
  status: number
  reason: string
  minor: number
  readonly fields: Fields
  keepAlive: boolean
  connection: readonly string[]
  /** Undefined when the head says nothing: what follows lasts until the close. */
  length: number | 'chunked' | undefined
  upgrade: string
  passage?: Passage | undefined
}

/** A request that gets an answer of ours and no way to a backend. */
export class Refusal extends Error {
  readonly status: number
  constructor(status: number, reason: string) {
    super(reason)
    this.status = status
  }
}

/** A response that must not reach the client: H17 or H25. */
export class BadResponse extends Error {
  readonly code: 'H17' | 'H25'
  constructor(code: 'H17' | 'H25', reason: string) {
    super(reason)
    this.code = code
  }
}

const [LF, CR, SP, HASH] = [10, 13, 32, 35]

/** Position after the head's blank line, -1 when it is not there yet, -2 when it can never become a head. */
export function headEnd(buffer: Buffer, from: number): number {
  const end = blankLine(buffer, Math.max(0, from - 3))
  if (end !== -1) return end
  const feed = buffer.indexOf(10, Math.max(0, from - 1))
  for (let at = feed; at !== -1; at = buffer.indexOf(10, at + 1)) if (buffer[at - 1] !== 13) return -2
  return -1
}

/**
 * Position behind the first CR LF CR LF, or -1. Looks at every fourth byte, and nearer only where that may lie in one: a call out of
 * JavaScript costs more than that.
 */
function blankLine(buffer: Buffer, from: number): number {
  const { length } = buffer
  let at = from + 3
  while (at < length) {
    const c = buffer[at]
    if (c === LF) {
      if (buffer[at - 1] === CR && buffer[at - 2] === LF && buffer[at - 3] === CR) return at + 1
      at += 2
    } else at += c === CR ? 1 : 4
  }
  return -1
}

/** A parsed head; its fields become a list only when somebody asks. */
class ParsedRequest implements RequestHead {
  method = ''
  target = ''
  minor = 1
  host = ''
  hostname = ''
  body: BodyLength = 0
  keepAlive = false
  connection: readonly string[] = none
  upgrade = ''
  expectsContinue = false
  lengthGiven = false
  passage: Passage | undefined
  /** Where the field lines begin. */
  lines = 0
  readonly text: string
  readonly bounds: FieldBounds
  private list: Fields | undefined

  constructor(text: string, { headerLine, headerName, headers }: Limits) {
    this.text = text
    this.bounds = { line: headerLine, name: headerName, count: headers }
  }

  get fields(): Fields {
    this.list ??= parseFields(this.text, this.lines, this.bounds)
    return this.list
  }
}

const none: readonly string[] = []

const withItems = (items: readonly string[], value: string): readonly string[] =>
  items.length === 0 ? listItems(value) : items.concat(listItems(value))

export function parseRequest(text: string, limits: Limits): RequestHead {
  const head = new ParsedRequest(text, limits)
  readRequestLine(head, text, limits)
  try {
    readRequestFields(head, text, limits)
  } catch (error) {
    if (error instanceof Malformed) throw new Refusal(error.what === 'too large' ? 431 : 400, error.message)
    throw error
  }
  setTarget(head)
  return head
}

function readRequestLine(head: ParsedRequest, text: string, limits: Limits): void {
  const first = tokenEnd(text, 0)
  let second = first + 1
  for (let c = text.charCodeAt(second); c > SP && c < 127 && c !== HASH; c = text.charCodeAt(++second));
  const end = second + 9
  if (second > limits.requestLine || text.indexOf('\r\n') > limits.requestLine)
    throw new Refusal(414, 'request line too long')
  if (text.charCodeAt(first) !== SP) throw new Refusal(400, 'bad request line')
  if (first === 0 || first > limits.method) throw new Refusal(400, 'bad method')
  if (second === first + 1 || text.charCodeAt(second) !== SP) throw new Refusal(400, 'bad request target')
  head.method = text.slice(0, first)
  head.target = text.slice(first + 1, second)
  head.minor = minorOf(text.slice(second + 1, end))
  if (text.charCodeAt(end) !== 13 || text.charCodeAt(end + 1) !== 10) throw new Refusal(400, 'bad version')
  head.lines = end + 2
  if (head.method === 'CONNECT' || head.method === 'TRACE') throw new Refusal(405, 'method not allowed')
}

function minorOf(version: string): number {
  if (version === 'HTTP/1.1') return 1
  if (version === 'HTTP/1.0') return 0
  if (!/^HTTP\/\d\.\d$/.test(version)) throw new Refusal(400, 'bad version')
  if (version[5] !== '1') throw new Refusal(505, 'version not supported')
  return 1
}

function readRequestFields(head: ParsedRequest, text: string, limits: Limits): void {
  const cursor = new Cursor(text, head.lines, head.bounds)
  const cutter = new Cutter(head.lines)
  let hosts = 0
  let length = ''
  let coding = ''
  let codings = 0
  let upgrade = ''
  while (cursor.advance()) {
    cutter.take(cursor, text, 'request')
    switch (cursor.name?.text) {
      case 'host':
        hosts++
        head.host = cursor.value()
        break
      case 'content-length': {
        const value = cursor.value()
        if (parseLength(value) === undefined || (length !== '' && length !== value))
          throw new Refusal(400, 'bad content length')
        length = value
        break
      }
      case 'transfer-encoding':
        codings++
        coding = cursor.value()
        break
      case 'connection':
        head.connection = withItems(head.connection, cursor.value())
        if (head.connection.length > limits.connectionNames) throw new Refusal(431, 'too many names in Connection')
        break
      case 'upgrade':
        upgrade = cursor.value()
        break
      case 'expect':
        readExpect(head, cursor.value())
        break
    }
  }
  cutter.finish(text, cursor.next)
  if (hosts !== 1) throw new Refusal(400, 'exactly one Host is needed')
  head.hostname = parseHost(head.host)
  head.body = requestBody(head, { length, coding, codings })
  head.lengthGiven = length !== ''
  readConnection(head, upgrade)
  if (!namesOthers(head.connection)) head.passage = cutter
}

/** `Connection` may name fields that must not go on; then what goes on is found by the list of fields. */
const namesOthers = (connection: readonly string[]): boolean =>
  connection.length > 0 && connection.some((name) => name !== 'close' && name !== 'keep-alive' && name !== 'upgrade')

function readExpect(head: RequestHead, value: string): void {
  if (value.toLowerCase() !== '100-continue') throw new Refusal(417, 'unsupported expect header value')
  head.expectsContinue = head.minor === 1
}

function requestBody(head: RequestHead, said: { length: string; coding: string; codings: number }): BodyLength {
  if (said.codings === 0) return said.length === '' ? 0 : Number(said.length)
  if (said.length !== '') throw new Refusal(400, 'both Content-Length and Transfer-Encoding')
  if (head.minor === 0) throw new Refusal(400, 'Transfer-Encoding in HTTP/1.0')
  if (said.codings > 1) throw new Refusal(400, 'more than one Transfer-Encoding')
  const coding = said.coding.toLowerCase()
  if (coding === 'chunked') return 'chunked'
  throw new Refusal(isToken(coding) && coding !== 'identity' ? 501 : 400, 'bad Transfer-Encoding')
}

const HOST = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/

/** Those that were asked for lately, by `Host` as it came; copies, since a piece of a head keeps all of it. */
const hostnames = new Map<string, string>()
const HOSTNAMES = 1000

function parseHost(host: string): string {
  const known = hostnames.get(host)
  if (known !== undefined) return known
  if (!HOST.test(host)) throw new Refusal(400, 'bad Host')
  const own = Buffer.from(host).toString()
  const hostname = own.replace(/:\d+$/, '').replace(/\.$/, '').toLowerCase()
  if (hostnames.size >= HOSTNAMES) hostnames.clear()
  hostnames.set(own, hostname)
  return hostname
}

/** An h2c upgrade would open a tunnel past all of this, so it is not one (RFC 9113 dropped it); HTTP/1.0 has none (RFC 9110 7.8). */
function readConnection(head: RequestHead, upgrade: string): void {
  head.keepAlive = !head.connection.includes('close') && (head.minor === 1 || head.connection.includes('keep-alive'))
  if (!head.connection.includes('upgrade')) return
  if (upgrade === '') throw new Refusal(400, 'Connection: upgrade without Upgrade')
  if (head.minor === 1 && !listItems(upgrade).some((protocol) => protocol.startsWith('h2c'))) head.upgrade = upgrade
}

function setTarget(head: RequestHead): void {
  const { target } = head
  if (target.startsWith('/')) return
  if (target === '*') {
    if (head.method !== 'OPTIONS') throw new Refusal(400, 'bad request target')
    return
  }
  const absolute = /^https?:\/\/([^/?]*)(.*)$/i.exec(target)
  if (absolute?.[1] === undefined || absolute[1].toLowerCase() !== head.host.toLowerCase())
    throw new Refusal(400, 'bad request target')
  const path = absolute[2] ?? ''
  head.target = path.startsWith('/') ? path : `/${path}`
}

class ParsedResponse implements ResponseHead {
  status = 0
  reason = ''
  minor = 1
  keepAlive = false
  connection: readonly string[] = none
  length: number | 'chunked' | undefined
  upgrade = ''
  passage: Passage | undefined
  /** Where the field lines begin. */
  lines = 0
  readonly text: string
  readonly bounds: FieldBounds
  private list: Fields | undefined

  constructor(text: string, { responseHead, headerName, headers }: Limits) {
    this.text = text
    this.bounds = { line: responseHead, name: headerName, count: headers }
  }

  get fields(): Fields {
    this.list ??= parseFields(this.text, this.lines, this.bounds)
    return this.list
  }
}

/** Parses a response's head, or throws BadResponse. */
export function parseResponse(text: string, limits: Limits): ResponseHead {
  const head = new ParsedResponse(text, limits)
  readStatusLine(head, text, limits)
  try {
    readResponseFields(head, text, limits)
  } catch (error) {
    if (error instanceof Malformed) throw new BadResponse(error.what === 'too large' ? 'H25' : 'H17', error.message)
    throw error
  }
  const closes = head.connection.includes('close')
  head.keepAlive = !closes && (head.minor === 1 || head.connection.includes('keep-alive'))
  return head
}

function readStatusLine(head: ParsedResponse, text: string, limits: Limits): void {
  const lineEnd = text.indexOf('\r\n')
  if (lineEnd > limits.statusLine) throw new BadResponse('H25', 'oversized status line')
  head.lines = lineEnd + 2
  if (text.startsWith('HTTP/1.1 200 OK\r\n')) {
    head.status = 200
    head.reason = 'OK'
    return
  }
  const line = /^HTTP\/1\.([01]) ([1-9]\d\d) ([\t\x20-\x7e\x80-\xff]*)$/.exec(text.slice(0, lineEnd))
  if (!line) throw new BadResponse('H17', 'bad status line')
  head.minor = Number(line[1])
  head.status = Number(line[2])
  head.reason = line[3] ?? ''
}

function readResponseFields(head: ParsedResponse, text: string, limits: Limits): void {
  const cursor = new Cursor(text, head.lines, head.bounds)
  const cutter = new Cutter(head.lines)
  while (cursor.advance()) {
    cutter.take(cursor, text, 'response')
    switch (cursor.name?.text) {
      case 'content-length': {
        const length = parseLength(cursor.value())
        if (length === undefined || head.length !== undefined) throw new BadResponse('H25', 'invalid content length')
        head.length = length
        break
      }
      case 'transfer-encoding':
        if (head.length !== undefined) throw new BadResponse('H25', 'invalid content length')
        if (head.minor === 0 || cursor.value().toLowerCase() !== 'chunked')
          throw new BadResponse('H17', 'bad Transfer-Encoding')
        head.length = 'chunked'
        break
      case 'connection':
        head.connection = withItems(head.connection, cursor.value())
        if (head.connection.length > limits.connectionNames) throw new BadResponse('H25', 'oversized header')
        break
      case 'upgrade':
        head.upgrade = cursor.value()
        break
      case 'set-cookie':
        if (cursor.to - cursor.from > limits.setCookie) throw new BadResponse('H25', 'oversized cookie')
        break
    }
  }
  cutter.finish(text, cursor.next)
  if (!namesOthers(head.connection)) head.passage = cutter
}
