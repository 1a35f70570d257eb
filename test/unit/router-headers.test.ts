import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseRequest, parseResponse } from '../../router/head.ts'
import { givenRequestId, requestText, responseText } from '../../router/headers.ts'
import { limits } from '../../router/limits.ts'

const entrance = { client: '192.0.2.9', proto: 'https', port: 443, tls: 'tls1.3' } as const
const arrival = { at: 1700000000000, requestId: 'ID' }
const parse = (lines: string[]) => parseRequest(`${lines.join('\r\n')}\r\n\r\n`, limits)
const rewritten = (...lines: string[]) =>
  requestText(parse(['GET / HTTP/1.1', 'Host: a', ...lines]), entrance, arrival).split('\r\n')

test('a request gets Heroku’s headers: some appended to, some replaced', () => {
  assert.equal(
    rewritten(
      'X-Forwarded-For: 10.0.0.1',
      'x-forwarded-proto: http',
      'X-Forwarded-Port: 1',
      'X-Request-Start: 2',
      'X-Request-Id: 3',
      'Via: 1.0 x',
      'Accept: */*',
    ),
    [
      'GET / HTTP/1.1',
      'Host: a',
      'Accept: */*',
      'X-Forwarded-For: 10.0.0.1, 192.0.2.9',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Port: 443',
      'X-Request-Id: ID',
      'X-Request-Start: 1700000000000',
      'Via: 1.0 x, 1.1 sluice',
      '',
      '',
    ],
  )
})

test('hop-by-hop headers and those that Connection names go, ours and the host stay', () => {
  const lines = rewritten(
    'Connection: close, X-Mine, X-Forwarded-For, Host, Content-Length, Cookie',
    'X-Mine: 1',
    'Keep-Alive: 5',
    'TE: trailers',
    'Proxy-Authorization: x',
    'Proxy-Connection: x',
    'HTTP2-Settings: x',
    'Upgrade: websocket',
    'Content-Length: 3',
    'Cookie: c',
    'Trailer: X',
  )
  const names = lines.map((line) => line.split(':')[0])
  for (const gone of ['Connection', 'X-Mine', 'Keep-Alive', 'TE', 'Proxy-Authorization', 'HTTP2-Settings', 'Upgrade'])
    assert.not(names.includes(gone), gone)
  for (const kept of ['Host', 'Cookie', 'Trailer', 'X-Forwarded-For', 'Content-Length'])
    assert.ok(names.includes(kept), kept)
})

test('names that a CGI-like server would read as framing or trust headers are dropped', () => {
  const text = rewritten('Transfer_Encoding: chunked', 'X_Forwarded_For: 1', 'Content_Length: 1', 'My_Own: 1').join(
    '\n',
  )
  assert.not.match(text, /Transfer_|X_Forw|Content_/)
  assert.match(text, /My_Own: 1/)
})

test('an upgrade is passed on as one', () => {
  const text = rewritten('Connection: Upgrade', 'Upgrade: websocket').join('\n')
  assert.match(text, /Connection: Upgrade\nUpgrade: websocket\n/)
})

test('a request id is kept when it is one', () => {
  const id = (value: string) => givenRequestId(parse(['GET / HTTP/1.1', 'Host: a', `X-Request-Id: ${value}`]))
  assert.is(id('01234567890123456789'), '01234567890123456789')
  assert.is(id('short'), undefined)
  assert.is(id('0123456789 0123456789'), undefined)
  assert.is(id('a'.repeat(201)), undefined)
})

const response = (lines: string[], to = { close: false, dechunk: false }) =>
  responseText(parseResponse(`${lines.join('\r\n')}\r\n\r\n`, limits), to).split('\r\n')

test('a response loses its hop-by-hop headers and says what becomes of the connection', () => {
  assert.equal(response(['HTTP/1.1 200 OK', 'Connection: close, X-A', 'X-A: 1', 'X-B: 2', 'Content-Length: 03']), [
    'HTTP/1.1 200 OK',
    'X-B: 2',
    'Content-Length: 3',
    'Connection: keep-alive',
    'Via: 1.1 sluice',
    '',
    '',
  ])
})

test('a dyno’s Server stays as it is, and none is made up; to its Via ours is added', () => {
  const lines = response(['HTTP/1.1 200 OK', 'Server: mine', 'Via: 1.0 x', 'Via: 1.1 y', 'Content-Length: 0'])
  assert.ok(lines.includes('Server: mine'))
  assert.equal(
    lines.filter((line) => /^(?:Server|Via)/.test(line)),
    ['Server: mine', 'Via: 1.0 x, 1.1 y, 1.1 sluice'],
  )
  assert.not.match(response(['HTTP/1.1 200 OK', 'Content-Length: 0']).join(), 'Server')
})

test('a client that does not know chunks gets none', () => {
  const lines = response(['HTTP/1.1 200 OK', 'Transfer-Encoding: chunked'], { close: true, dechunk: true })
  assert.equal(lines.slice(0, 2), ['HTTP/1.1 200 OK', 'Connection: close'])
})

test.run()
