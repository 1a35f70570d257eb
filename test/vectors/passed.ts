import { get, head, post } from './head.ts'

/** Requests that pass, and what the dyno sees of them, without what every request gets (`FIRST`, `LAST`). */
export interface Passed {
  what: string
  send: string
  /** Between the request line with Host and the fields of ours. */
  sees: string
  /** Behind the head. */
  body?: string
  line?: string
  host?: string
  forwarded?: string
  via?: string
}

export const passed: Passed[] = [
  { what: 'a plain request', send: get('X: 1'), sees: 'X: 1\r\n' },
  { what: 'one blank line ahead', send: `\r\n${get()}`, sees: '' },
  {
    what: 'names and values as they are',
    send: get('x-A.b~1:2', 'X:  \t3\t ', 'Y:', 'Z: \xe9'),
    sees: 'x-A.b~1: 2\r\nX: 3\r\nY: \r\nZ: \xe9\r\n',
  },
  {
    what: 'an unknown method',
    send: head('FOO-!bar /?a=%00&b=/../ HTTP/1.1', 'Host: a.localhost'),
    sees: '',
    line: 'FOO-!bar /?a=%00&b=/../',
  },
  { what: 'a later minor version', send: head('GET / HTTP/1.9', 'Host: a.localhost'), sees: '' },
  { what: 'OPTIONS *', send: head('OPTIONS * HTTP/1.1', 'Host: a.localhost'), sees: '', line: 'OPTIONS *' },
  {
    what: 'the absolute form',
    send: head('GET HTTP://A.localhost?x HTTP/1.1', 'Host: a.localhost'),
    sees: '',
    line: 'GET /?x',
  },
  {
    what: 'a Host with a port and a final dot',
    send: head('GET / HTTP/1.1', 'Host: A.localhost.:80'),
    sees: '',
    host: 'A.localhost.:80',
  },
  { what: 'a counted body', send: `${post('Content-Length:  3\t')}abc`, sees: 'Content-Length: 3\r\n', body: 'abc' },
  {
    what: 'equal lengths',
    send: `${post('Content-Length: 3', 'Content-Length: 3')}abc`,
    sees: 'Content-Length: 3\r\n',
    body: 'abc',
  },
  {
    what: 'a length with zeros',
    send: `${post('Content-Length: 003')}abc`,
    sees: 'Content-Length: 3\r\n',
    body: 'abc',
  },
  { what: 'an empty body', send: post('Content-Length: 0'), sees: 'Content-Length: 0\r\n' },
  { what: 'a body of GET', send: `${get('Content-Length: 1')}a`, sees: 'Content-Length: 1\r\n', body: 'a' },
  {
    what: 'chunks',
    send: `${post('Transfer-Encoding:\tChunked ')}1\r\na\r\n00\r\n\r\n`,
    sees: 'Transfer-Encoding: chunked\r\n',
    body: '1\r\na\r\n0\r\n\r\n',
  },
  {
    what: 'extensions',
    send: `${post('Transfer-Encoding: chunked')}A;a;b=c;d="e \\" f"\r\n0123456789\r\n0;a=b\r\n\r\n`,
    sees: 'Transfer-Encoding: chunked\r\n',
    body: 'A;a;b=c;d="e \\" f"\r\n0123456789\r\n0\r\n\r\n',
  },
  {
    what: 'trailers, but for those that change the head',
    send: `${post('Trailer: X', 'Transfer-Encoding: chunked')}0\r\nX: 1\r\nContent-Length: 5\r\nHost: b\r\nTransfer_Encoding: x\r\nX-Forwarded-For: 9.9.9.9\r\n\r\n`,
    sees: 'Trailer: X\r\nTransfer-Encoding: chunked\r\n',
    body: '0\r\nX: 1\r\n\r\n',
  },
  {
    what: 'underscores in the place of hyphens',
    send: get(
      'Transfer_Encoding: chunked',
      'Content_Length: 5',
      'X_Forwarded_For: 9.9.9.9',
      'X-Forwarded_Proto: https',
      'HO_ST: b',
      'Proxy_Connection: x',
      'my_name: kept',
    ),
    sees: 'HO_ST: b\r\nmy_name: kept\r\n',
  },
  {
    what: 'hop-by-hop fields, and those that Connection names',
    send: get(
      'Connection: X-Mine , keep-alive',
      'X-Mine: 1',
      'Keep-Alive: 5',
      'TE: trailers',
      'Proxy-Authorization: x',
      'Proxy-Connection: close',
      'X-Kept: 2',
    ),
    sees: 'X-Kept: 2\r\n',
  },
  {
    what: 'a Connection that names what is not the client’s to remove',
    send: `${post('Connection: X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Port, X-Request-Id, Via, Host, Content-Length, Cookie, Authorization', 'Cookie: a=b', 'Authorization: c', 'Content-Length: 1')}a`,
    sees: 'Cookie: a=b\r\nAuthorization: c\r\nContent-Length: 1\r\n',
    body: 'a',
  },
  {
    what: 'a Connection that names Transfer-Encoding',
    send: `${post('Connection: Transfer-Encoding', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
    sees: 'Transfer-Encoding: chunked\r\n',
    body: '0\r\n\r\n',
  },
  {
    what: 'h2c',
    send: get('Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA'),
    sees: '',
  },
  { what: 'h2c among others', send: get('Connection: Upgrade', 'Upgrade: websocket, H2C'), sees: '' },
  {
    what: 'HTTP2-Settings and Upgrade without Connection',
    send: get('HTTP2-Settings: x', 'Upgrade: websocket'),
    sees: '',
  },
  {
    what: 'an upgrade',
    send: get('Connection: upgrade', 'Upgrade: websocket'),
    sees: 'Connection: Upgrade\r\nUpgrade: websocket\r\n',
  },
  {
    what: 'what the client claims, and then what is',
    send: get(
      'X-Forwarded-For: 9.9.9.9',
      'x-forwarded-for: 8.8.8.8, 7.7.7.7',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Port: 443',
      'X-Request-Start: 1',
      'Via: 1.0 x',
      'X-Forwarded-Host: b',
    ),
    sees: 'X-Forwarded-Host: b\r\n',
    forwarded: '9.9.9.9, 8.8.8.8, 7.7.7.7, 127.0.0.1',
    via: '1.0 x, 1.1 sluice',
  },
  { what: 'HTTP/1.0', send: head('GET / HTTP/1.0', 'Host: a.localhost', 'Connection: keep-alive'), sees: '' },
  {
    what: 'Expect with its body',
    send: `${post('Expect: 100-Continue', 'Content-Length: 1')}a`,
    sees: 'Content-Length: 1\r\n',
    body: 'a',
  },
  { what: '1000 headers', send: get(...Array.from({ length: 999 }, () => 'X: 1')), sees: 'X: 1\r\n'.repeat(999) },
  { what: 'a header line of 8192', send: get(`X: ${'a'.repeat(8189)}`), sees: `X: ${'a'.repeat(8189)}\r\n` },
  {
    what: 'a request line of 8192',
    send: head(`GET /${'a'.repeat(8178)} HTTP/1.1`, 'Host: a.localhost'),
    sees: '',
    line: `GET /${'a'.repeat(8178)}`,
  },
]

/** All that the dyno sees, with the id and the time of a request as `ID` and `NOW`. */
export const seen = (one: Passed): string =>
  head(
    `${one.line ?? `${one.send.trimStart().split(' ')[0]} /`} HTTP/1.1`,
    ...[`Host: ${one.host ?? 'a.localhost'}`, one.sees.slice(0, -2)].filter((line) => line !== ''),
    `X-Forwarded-For: ${one.forwarded ?? '127.0.0.1'}`,
    'X-Forwarded-Proto: http',
    'X-Forwarded-Port: PORT',
    'X-Request-Id: ID',
    'X-Request-Start: NOW',
    `Via: ${one.via ?? '1.1 sluice'}`,
  ) + (one.body ?? '')
