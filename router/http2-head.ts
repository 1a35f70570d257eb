import type { OutgoingHttpHeaders } from 'node:http2'
import type { Fields } from './fields.ts'
import { parseRequest, Refusal, type RequestHead, type ResponseHead } from './head.ts'
import { field, VIA } from './headers.ts'
import type { Limits } from './limits.ts'
import type { Page } from './page.ts'
import { passesBack } from './passage.ts'

/**
 * Heads of HTTP/2 (RFC 9113 8) and what they are in HTTP/1.1. A request is put as an HTTP/1.1 head and read by the one parser, so that
 * HTTP/2 lets nothing through that HTTP/1.1 refuses. Pure.
 */

/** Names and values in turn, as they came. */
export type Raw = readonly string[]

/** Between two hops only, and no business of HTTP/2 (RFC 9113 8.2.2). */
const CONNECTION = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

/** `whole`: no body follows. Throws a Refusal. */
export function requestOf(raw: Raw, whole: boolean, limits: Limits): RequestHead {
  const { pseudo, lines, hosts } = sort(raw)
  const { ':method': method, ':scheme': scheme, ':path': path, ':authority': authority } = pseudo
  if (method === 'CONNECT') throw new Refusal(405, 'method not allowed')
  if (method === undefined || scheme !== 'https' || path === undefined) throw new Refusal(400, 'bad pseudo-header')
  if (!path.startsWith('/') && path !== '*') throw new Refusal(400, 'bad request target')
  const host = authority ?? hosts[0]
  if (host === undefined || hosts.some((other) => other.toLowerCase() !== host.toLowerCase()))
    throw new Refusal(400, 'exactly one host is needed')
  const text = `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${lines}\r\n`
  if (text.length > limits.requestHead) throw new Refusal(431, 'its head is too large')
  const head = parseRequest(text, limits)
  if (whole && head.body !== 0) throw new Refusal(400, 'bad content length')
  if (!whole && head.body === 0 && field(head.fields, 'content-length') === undefined) head.body = 'ended'
  return head
}

interface Sorted {
  pseudo: { [name in ':method' | ':scheme' | ':path' | ':authority']?: string }
  /** Field lines with their ends. */
  lines: string
  hosts: string[]
}

const PSEUDO = [':method', ':scheme', ':path', ':authority'] as const

function sort(raw: Raw): Sorted {
  const sorted: Sorted = { pseudo: {}, lines: '', hosts: [] }
  const cookies: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    const [name = '', value = ''] = [raw[i], raw[i + 1]]
    if (/[\0\r\n]/.test(value) || /[\0\r\n\sA-Z]|.:/.test(name)) throw new Refusal(400, 'bad header')
    if (name.startsWith(':')) {
      const known = PSEUDO.find((one) => one === name)
      if (known === undefined || known in sorted.pseudo) throw new Refusal(400, 'bad pseudo-header')
      sorted.pseudo[known] = value
    } else if (CONNECTION.has(name) || (name === 'te' && value.toLowerCase() !== 'trailers'))
      throw new Refusal(400, 'a field that is not for HTTP/2')
    else if (name === 'host') sorted.hosts.push(value)
    else if (name === 'cookie') cookies.push(value)
    else sorted.lines += `${name}: ${value}\r\n`
  }
  // Crumbs are one field again for those who know one only (RFC 9113 8.2.3).
  if (cookies.length > 0) sorted.lines += `cookie: ${cookies.join('; ')}\r\n`
  return sorted
}

/** Of a request's trailers; undefined when they are too large. */
export function trailersOf(raw: Raw, limits: Limits): Fields | undefined {
  const fields: Fields = []
  let size = 0
  for (let i = 0; i < raw.length; i += 2) {
    const [name = '', value = ''] = [raw[i], raw[i + 1]]
    size += name.length + value.length + 4
    if (/[\0\r\n]/.test(value) || /[\0\r\n\s:]/.test(name)) return undefined
    fields.push(name, name, value)
  }
  return size > limits.trailers || fields.length > limits.headers * 3 ? undefined : fields
}

/** `more`: fields of ours. */
export function responseHeaders(head: ResponseHead, more: Fields = []): OutgoingHttpHeaders {
  const { status, fields, connection, length } = head
  const headers = bare({ ':status': status })
  for (let i = 0; i < fields.length; i += 3)
    if (passesBack(connection, fields[i] ?? '')) add(headers, fields[i] ?? '', fields[i + 2] ?? '')
  if (status < 200) return headers
  if (status !== 204 && typeof length === 'number') headers['content-length'] = String(length)
  addAll(headers, more)
  for (let i = 0; i < fields.length; i += 3) if (fields[i] === 'via') add(headers, 'via', fields[i + 2] ?? '')
  add(headers, 'via', VIA)
  return headers
}

export const pageHeaders = ({ status, fields, body }: Page): OutgoingHttpHeaders =>
  addAll(bare({ ':status': status, 'content-length': String(body.length) }), fields)

export const trailerHeaders = (fields: Fields): OutgoingHttpHeaders => addAll(bare({}), fields)

/** A field may be called `constructor`. */
const bare = (headers: OutgoingHttpHeaders): OutgoingHttpHeaders => Object.assign(Object.create(null), headers)

function addAll(headers: OutgoingHttpHeaders, fields: Fields): OutgoingHttpHeaders {
  for (let i = 0; i < fields.length; i += 3) add(headers, fields[i] ?? '', fields[i + 2] ?? '')
  return headers
}

/** Lines of one name become one (RFC 9110 5.3), because Node.js takes some names only once; cookies stay apart. */
function add(headers: OutgoingHttpHeaders, name: string, value: string): void {
  const before = headers[name]
  if (before === undefined) headers[name] = name === 'set-cookie' ? [value] : value
  else if (Array.isArray(before)) before.push(value)
  else headers[name] = `${before}, ${value}`
}
