import { type Fields, isToken, listItems, Malformed, parseFields, parseLength } from './fields.ts'
import type { Limits } from './limits.ts'

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
  fields: Fields
  host: string
  /** Lower case, without port and final dot. */
  hostname: string
  body: BodyLength
  keepAlive: boolean
  /** Names in `Connection`, lower case. */
  connection: string[]
  /** The protocol asked for, or empty. */
  upgrade: string
  expectsContinue: boolean
}

export interface ResponseHead {
  status: number
  reason: string
  minor: number
  fields: Fields
  keepAlive: boolean
  connection: string[]
  /** Undefined when the head says nothing: what follows lasts until the close. */
  length: number | 'chunked' | undefined
  upgrade: string
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

/** Position after the head's blank line, -1 when it is not there yet, -2 when it can never become a head. */
export function headEnd(buffer: Buffer, from: number): number {
  const end = buffer.indexOf('\r\n\r\n', Math.max(0, from - 3), 'latin1')
  if (end !== -1) return end + 4
  const feed = buffer.indexOf(10, Math.max(0, from - 1))
  for (let at = feed; at !== -1; at = buffer.indexOf(10, at + 1)) if (buffer[at - 1] !== 13) return -2
  return -1
}

export function parseRequest(text: string, limits: Limits): RequestHead {
  const lineEnd = text.indexOf('\r\n')
  if (lineEnd > limits.requestLine) throw new Refusal(414, 'request line too long')
  const { method, target, minor } = parseRequestLine(text.slice(0, lineEnd), limits)
  const fields = requestFields(text, lineEnd + 2, limits)
  const head: RequestHead = {
    method,
    target,
    minor,
    fields,
    host: '',
    hostname: '',
    body: 0,
    keepAlive: false,
    connection: [],
    upgrade: '',
    expectsContinue: false,
  }
  readRequestFields(head)
  setTarget(head)
  return head
}

function requestFields(text: string, start: number, limits: Limits): Fields {
  try {
    return parseFields(text, start, { line: limits.headerLine, name: limits.headerName, count: limits.headers })
  } catch (error) {
    if (error instanceof Malformed) throw new Refusal(error.what === 'too large' ? 431 : 400, error.message)
    throw error
  }
}

function parseRequestLine(line: string, limits: Limits): { method: string; target: string; minor: number } {
  const first = line.indexOf(' ')
  const second = line.indexOf(' ', first + 1)
  if (first < 1 || second === -1) throw new Refusal(400, 'bad request line')
  const method = line.slice(0, first)
  const target = line.slice(first + 1, second)
  const version = line.slice(second + 1)
  if (!isToken(method) || method.length > limits.method) throw new Refusal(400, 'bad method')
  if (target === '' || /[^\x21-\x7e]|#/.test(target)) throw new Refusal(400, 'bad request target')
  if (!/^HTTP\/\d\.\d$/.test(version)) throw new Refusal(400, 'bad version')
  if (version[5] !== '1') throw new Refusal(505, 'version not supported')
  if (method === 'CONNECT' || method === 'TRACE') throw new Refusal(405, 'method not allowed')
  return { method, target, minor: version[7] === '0' ? 0 : 1 }
}

function readRequestFields(head: RequestHead): void {
  const { fields } = head
  let hosts = 0
  let length = ''
  let coding = ''
  let codings = 0
  let upgrade = ''
  for (let i = 0; i < fields.length; i += 3) {
    const value = fields[i + 2] ?? ''
    switch (fields[i]) {
      case 'host':
        hosts++
        head.host = value
        break
      case 'content-length':
        if (parseLength(value) === undefined || (length !== '' && length !== value))
          throw new Refusal(400, 'bad content length')
        length = value
        break
      case 'transfer-encoding':
        codings++
        coding = value
        break
      case 'connection':
        head.connection.push(...listItems(value))
        break
      case 'upgrade':
        upgrade = value
        break
      case 'expect':
        readExpect(head, value)
        break
    }
  }
  if (hosts !== 1) throw new Refusal(400, 'exactly one Host is needed')
  head.hostname = parseHost(head.host)
  head.body = requestBody(head, { length, coding, codings })
  readConnection(head, upgrade)
}

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

function parseHost(host: string): string {
  if (!HOST.test(host)) throw new Refusal(400, 'bad Host')
  return host.replace(/:\d+$/, '').replace(/\.$/, '').toLowerCase()
}

/** An h2c upgrade would open a tunnel past all of this, so it is not one (RFC 9113 dropped it). */
function readConnection(head: RequestHead, upgrade: string): void {
  head.keepAlive = !head.connection.includes('close') && (head.minor === 1 || head.connection.includes('keep-alive'))
  if (!head.connection.includes('upgrade')) return
  if (upgrade === '') throw new Refusal(400, 'Connection: upgrade without Upgrade')
  if (!listItems(upgrade).some((protocol) => protocol.startsWith('h2c'))) head.upgrade = upgrade
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

/** Parses a response's head, or throws BadResponse. */
export function parseResponse(text: string, limits: Limits): ResponseHead {
  const lineEnd = text.indexOf('\r\n')
  if (lineEnd > limits.statusLine) throw new BadResponse('H25', 'oversized status line')
  const line = /^HTTP\/1\.([01]) ([1-9]\d\d) ([\t\x20-\x7e\x80-\xff]*)$/.exec(text.slice(0, lineEnd))
  if (!line) throw new BadResponse('H17', 'bad status line')
  const head: ResponseHead = {
    status: Number(line[2]),
    reason: line[3] ?? '',
    minor: Number(line[1]),
    fields: responseFields(text, lineEnd + 2, limits),
    keepAlive: false,
    connection: [],
    length: undefined,
    upgrade: '',
  }
  readResponseFields(head, limits)
  const closes = head.connection.includes('close')
  head.keepAlive = !closes && (head.minor === 1 || head.connection.includes('keep-alive'))
  return head
}

function responseFields(text: string, start: number, limits: Limits): Fields {
  try {
    return parseFields(text, start, { line: limits.responseHead, name: limits.headerName, count: limits.headers })
  } catch (error) {
    if (error instanceof Malformed) throw new BadResponse(error.what === 'too large' ? 'H25' : 'H17', error.message)
    throw error
  }
}

function readResponseFields(head: ResponseHead, limits: Limits): void {
  for (let i = 0; i < head.fields.length; i += 3) {
    const value = head.fields[i + 2] ?? ''
    switch (head.fields[i]) {
      case 'content-length': {
        const length = parseLength(value)
        if (length === undefined || head.length !== undefined) throw new BadResponse('H25', 'invalid content length')
        head.length = length
        break
      }
      case 'transfer-encoding':
        if (head.length !== undefined) throw new BadResponse('H25', 'invalid content length')
        if (head.minor === 0 || value.toLowerCase() !== 'chunked') throw new BadResponse('H17', 'bad Transfer-Encoding')
        head.length = 'chunked'
        break
      case 'connection':
        head.connection.push(...listItems(value))
        break
      case 'upgrade':
        head.upgrade = value
        break
      case 'set-cookie':
        if (value.length > limits.setCookie) throw new BadResponse('H25', 'oversized cookie')
        break
    }
  }
}
