import type { Entrance } from './client.ts'
import type { Fields } from './fields.ts'
import type { BodyLength, RequestHead, ResponseHead } from './head.ts'
import type { Page } from './page.ts'
import { type Passage, passageOf } from './passage.ts'
import { stamp } from './stamp.ts'

/** What Heroku's router does to headers (https://devcenter.heroku.com/articles/http-routing#heroku-headers). Pure. */

/** By the protocol that the message came in (RFC 9110 7.6.3). */
export const VIA = '1.1 sluice'
const VIA_HTTP2 = '2.0 sluice'

export interface Arrival {
  /** ms since the epoch */
  at: number
  requestId: string
}

/** The client's own id when it is one by Heroku's rule, else undefined. */
export function givenRequestId(head: RequestHead): string | undefined {
  const id = passageOfRequest(head).requestId
  return id !== undefined && /^[A-Za-z0-9+/=-]{20,200}$/.test(id) ? id : undefined
}

/** `more`: fields of ours for the dyno. */
export function requestText(head: RequestHead, from: Entrance, { at, requestId }: Arrival, more: Fields = []): string {
  const { lines, via, forwarded } = passageOfRequest(head)
  const upgrade = head.upgrade === '' ? '' : `Connection: Upgrade\r\nUpgrade: ${head.upgrade}\r\n`
  return `${head.method} ${head.target} HTTP/1.1\r\n${lines}${upgrade}${fieldLines(more)}${lengthField(head, hasLength(head))}X-Forwarded-For: ${forwarded}${from.client}\r\nX-Forwarded-Proto: ${from.proto}\r\nX-Forwarded-Port: ${from.port}\r\nX-Request-Id: ${requestId}\r\nX-Request-Start: ${stamp(at)}\r\nVia: ${via}${from.http2 ? VIA_HTTP2 : VIA}\r\n\r\n`
}

function passageOfRequest(head: RequestHead): Passage {
  head.passage ??= passageOf(head.fields, head.connection, 'request')
  return head.passage
}

/** What the client says it was forwarded for, and then its own address. */
export const forwarded = (head: RequestHead, client: string): string => passageOfRequest(head).forwarded + client

const lengthField = (head: { body: BodyLength }, known: boolean): string =>
  head.body === 'chunked' || head.body === 'ended'
    ? 'Transfer-Encoding: chunked\r\n'
    : known
      ? `Content-Length: ${head.body}\r\n`
      : ''

const hasLength = (head: RequestHead): boolean =>
  head.body !== 0 || (head.lengthGiven ?? field(head.fields, 'content-length') !== undefined)

/** `close`: we close the client's connection after it. `dechunk`: the client does not know chunks. `more`: fields of ours. */
export function responseText(head: ResponseHead, to: { close: boolean; dechunk: boolean; more?: Fields }): string {
  const { status } = head
  const { lines, via } = head.passage ?? passageOf(head.fields, head.connection, 'response')
  let out = `HTTP/1.1 ${status} ${head.reason}\r\n${lines}`
  if (status === 101) return `${out}Connection: Upgrade\r\nUpgrade: ${head.upgrade}\r\nVia: ${via}${VIA}\r\n\r\n`
  if (status < 200) return `${out}\r\n`
  if (status !== 204 && head.length !== undefined && !(head.length === 'chunked' && to.dechunk))
    out += head.length === 'chunked' ? 'Transfer-Encoding: chunked\r\n' : `Content-Length: ${head.length}\r\n`
  const more = to.more === undefined || to.more.length === 0 ? '' : fieldLines(to.more)
  return `${out}${more}Connection: ${to.close ? 'close' : 'keep-alive'}\r\nVia: ${via}${VIA}\r\n\r\n`
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

export function field(fields: string[], name: string): string | undefined {
  for (let i = 0; i < fields.length; i += 3) if (fields[i] === name) return fields[i + 2]
  return undefined
}
