import type { Fields } from './fields.ts'
import type { BodyLength, RequestHead, ResponseHead } from './head.ts'
import type { Page } from './page.ts'

/** What Heroku's router does to headers (https://devcenter.heroku.com/articles/http-routing#heroku-headers). Pure. */

const VIA = '1.1 sluice'

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
]

/** What `Connection` cannot make us drop. */
const KEPT = new Set(['host', 'x-forwarded-host', 'trailer', 'cookie', 'authorization'])

/** Framing, routing and trust: forbidden in trailers, and dropped when spelt with `_`, which CGI-like servers read as `-`. */
export const SENSITIVE = new Set([
  ...HOP_BY_HOP,
  ...OURS,
  'host',
  'x-forwarded-host',
  'authorization',
  'trailer',
  'cookie',
  'set-cookie',
])

const DROPPED_FROM_REQUEST = new Set([...HOP_BY_HOP, ...OURS])
const DROPPED_FROM_RESPONSE = new Set([...HOP_BY_HOP, 'via'])

export interface Arrival {
  /** Address of the client. */
  client: string
  proto: 'http' | 'https'
  port: number
  /** ms since the epoch */
  at: number
  requestId: string
}

/** The client's own id when it is one by Heroku's rule, else undefined. */
export function givenRequestId(head: RequestHead): string | undefined {
  const id = field(head.fields, 'x-request-id')
  return id !== undefined && /^[A-Za-z0-9+/=-]{20,200}$/.test(id) ? id : undefined
}

export function requestText(head: RequestHead, arrival: Arrival): string {
  const { fields, connection } = head
  let out = `${head.method} ${head.target} HTTP/1.1\r\n`
  let via = ''
  for (let i = 0; i < fields.length; i += 3) {
    const name = fields[i] ?? ''
    if (name === 'via') via += `${fields[i + 2]}, `
    else if (!DROPPED_FROM_REQUEST.has(name) && !named(connection, name) && !alias(name))
      out += `${fields[i + 1]}: ${fields[i + 2]}\r\n`
  }
  if (head.upgrade !== '') out += `Connection: Upgrade\r\nUpgrade: ${head.upgrade}\r\n`
  return `${out}${lengthField(head, hasLength(head))}X-Forwarded-For: ${forwarded(fields, arrival.client)}\r\nX-Forwarded-Proto: ${arrival.proto}\r\nX-Forwarded-Port: ${arrival.port}\r\nX-Request-Id: ${arrival.requestId}\r\nX-Request-Start: ${arrival.at}\r\nVia: ${via}${VIA}\r\n\r\n`
}

/** What the client says it was forwarded for, and then its own address. */
export function forwarded(fields: string[], client: string): string {
  let out = ''
  for (let i = 0; i < fields.length; i += 3) if (fields[i] === 'x-forwarded-for') out += `${fields[i + 2]}, `
  return out + client
}

const lengthField = (head: { body: BodyLength }, known: boolean): string =>
  head.body === 'chunked' || head.body === 'ended'
    ? 'Transfer-Encoding: chunked\r\n'
    : known
      ? `Content-Length: ${head.body}\r\n`
      : ''

const hasLength = (head: RequestHead): boolean => head.body !== 0 || field(head.fields, 'content-length') !== undefined

/** `close`: we close the client's connection after it. `dechunk`: the client does not know chunks. `more`: fields of ours. */
export function responseText(head: ResponseHead, to: { close: boolean; dechunk: boolean; more?: Fields }): string {
  const { fields, connection, status } = head
  let out = `HTTP/1.1 ${status} ${head.reason}\r\n`
  let via = ''
  for (let i = 0; i < fields.length; i += 3) {
    const name = fields[i] ?? ''
    if (name === 'via') via += `${fields[i + 2]}, `
    else if (!DROPPED_FROM_RESPONSE.has(name) && !named(connection, name))
      out += `${fields[i + 1]}: ${fields[i + 2]}\r\n`
  }
  if (status === 101) return `${out}Connection: Upgrade\r\nUpgrade: ${head.upgrade}\r\nVia: ${via}${VIA}\r\n\r\n`
  if (status < 200) return `${out}\r\n`
  if (status !== 204 && head.length !== undefined && !(head.length === 'chunked' && to.dechunk))
    out += head.length === 'chunked' ? 'Transfer-Encoding: chunked\r\n' : `Content-Length: ${head.length}\r\n`
  return `${out}${fieldLines(to.more ?? [])}Connection: ${to.close ? 'close' : 'keep-alive'}\r\nVia: ${via}${VIA}\r\n\r\n`
}

/** A whole response of ours; its body is left out for those who only asked for the head. */
export function pageText({ status, reason, fields, body }: Page, to: { close: boolean; bodiless: boolean }): string {
  const head = `HTTP/1.1 ${status} ${reason}\r\n${fieldLines(fields)}Content-Length: ${body.length}\r\n`
  return `${head}Connection: ${to.close ? 'close' : 'keep-alive'}\r\n\r\n${to.bodiless ? '' : body}`
}

export function fieldLines(fields: Fields): string {
  let out = ''
  for (let i = 0; i < fields.length; i += 3) out += `${fields[i + 1]}: ${fields[i + 2]}\r\n`
  return out
}

const named = (connection: string[], name: string): boolean =>
  connection.length > 0 && connection.includes(name) && !KEPT.has(name)

const alias = (name: string): boolean => name.includes('_') && SENSITIVE.has(name.replaceAll('_', '-'))

export function field(fields: string[], name: string): string | undefined {
  for (let i = 0; i < fields.length; i += 3) if (fields[i] === name) return fields[i + 2]
  return undefined
}
