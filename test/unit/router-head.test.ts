import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { BadResponse, headEnd, parseRequest, parseResponse, Refusal } from '../../router/head.ts'
import { limits } from '../../router/limits.ts'

const get = (...lines: string[]) => ['GET / HTTP/1.1', 'Host: a', ...lines, '', ''].join('\r\n')
const request = (text: string) => parseRequest(text, limits)

function refused(text: string): number {
  try {
    request(text)
  } catch (error) {
    if (error instanceof Refusal) return error.status
    throw error
  }
  return 0
}

const vectors: [status: number, what: string, text: string][] = [
  [400, 'length and chunks', get('Content-Length: 3', 'Transfer-Encoding: chunked')],
  [400, 'chunks and length', get('Transfer-Encoding: chunked', 'Content-Length: 3')],
  [400, 'two different lengths', get('Content-Length: 3', 'Content-Length: 4')],
  ...['3, 3', '+3', '-1', '0x3', '3 3', '1e1', '', '1234567890123456', '3;', '٣'].map(
    (value): [number, string, string] => [400, `length "${value}"`, get(`Content-Length: ${value}`)],
  ),
  ...[
    'gzip, chunked',
    'chunked, chunked',
    'identity',
    '',
    ',',
    ',chunked',
    '"chunked"',
    'chunked;q=1',
    '\x0bchunked',
    'chunked\0',
  ].map((value): [number, string, string] => [
    400,
    `coding ${JSON.stringify(value)}`,
    get(`Transfer-Encoding: ${value}`),
  ]),
  [501, 'an unknown coding', get('Transfer-Encoding: gzip')],
  [400, 'two codings', get('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked')],
  [400, 'chunks in 1.0', 'GET / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'],
  [400, 'a blank before the colon', get('Transfer-Encoding : chunked')],
  [400, 'a folded line', get('X: 1', ' Transfer-Encoding: chunked')],
  [400, 'a leading blank', get(' Transfer-Encoding: chunked')],
  [400, 'no name', get(': x')],
  [400, 'no colon', get('x')],
  [400, 'NUL in a value', get('X: a\0b')],
  [400, 'DEL in a value', get('X: a\x7fb')],
  [400, 'a bare CR in a value', get('X: a\rb')],
  [400, 'a bare LF in a value', get('X: a\nY: b')],
  [400, 'no host', 'GET / HTTP/1.1\r\n\r\n'],
  [400, 'no host in 1.0', 'GET http://a/ HTTP/1.0\r\n\r\n'],
  [400, 'two hosts', get('Host: a')],
  ...['', 'a b', 'a,b', 'a@b', 'a:b', 'a/b', '[::1', 'a:1:2'].map((host): [number, string, string] => [
    400,
    `host "${host}"`,
    `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
  ]),
  [400, 'two blanks', 'GET  / HTTP/1.1\r\nHost: a\r\n\r\n'],
  [400, 'a tab', 'GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n'],
  [400, 'HTTP/0.9', 'GET /\r\nHost: a\r\n\r\n'],
  [400, 'a lower-case version', 'GET / http/1.1\r\nHost: a\r\n\r\n'],
  [400, 'a long version', 'GET / HTTP/1.10\r\nHost: a\r\n\r\n'],
  [400, 'a blank at the end', 'GET / HTTP/1.1 \r\nHost: a\r\n\r\n'],
  [505, 'version 2.0', 'PRI * HTTP/2.0\r\nHost: a\r\n\r\n'],
  [505, 'version 0.9', 'GET / HTTP/0.9\r\nHost: a\r\n\r\n'],
  [405, 'CONNECT', 'CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n'],
  [405, 'TRACE', 'TRACE / HTTP/1.1\r\nHost: a\r\n\r\n'],
  [400, 'a method that is no token', 'G(T / HTTP/1.1\r\nHost: a\r\n\r\n'],
  [400, 'a long method', `${'A'.repeat(128)} / HTTP/1.1\r\nHost: a\r\n\r\n`],
  [400, 'a fragment', 'GET /#a HTTP/1.1\r\nHost: a\r\n\r\n'],
  [400, 'a target beyond ASCII', 'GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n'],
  [400, 'a relative target', 'GET a HTTP/1.1\r\nHost: a\r\n\r\n'],
  [400, 'an asterisk', 'GET * HTTP/1.1\r\nHost: a\r\n\r\n'],
  [400, 'another authority', 'GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n'],
  [400, 'user info', 'GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n'],
  [400, 'another scheme', 'GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n'],
  [414, 'a long request line', `GET /${'a'.repeat(8192)} HTTP/1.1\r\nHost: a\r\n\r\n`],
  [431, 'a long header line', get(`X: ${'a'.repeat(8192)}`)],
  [431, 'too many headers', get(...Array.from({ length: 1000 }, (_, i) => `X${i}: 1`))],
  [400, 'an upgrade to nothing', get('Connection: upgrade')],
  [417, 'another expectation', get('Expect: 200-ok')],
]

for (const [status, what, text] of vectors)
  test(`a request with ${what} is refused with ${status}`, () => {
    assert.is(refused(text), status)
  })

test('equal lengths are merged, blanks around a value do not count', () => {
  assert.is(request(get('Content-Length: 3', 'Content-Length:\t3 ')).body, 3)
  assert.is(request(get('Transfer-Encoding:  Chunked\t')).body, 'chunked')
})

test('later minor versions are 1.1; unknown methods pass', () => {
  assert.is(request('FOO /x?y=1 HTTP/1.3\r\nHost: a\r\n\r\n').minor, 1)
  assert.is(request('FOO /x?y=1 HTTP/1.3\r\nHost: a\r\n\r\n').target, '/x?y=1')
})

test('the absolute form becomes the origin form', () => {
  assert.is(request('GET http://A:80?x HTTP/1.1\r\nHost: a:80\r\n\r\n').target, '/?x')
  assert.is(request('GET https://a/b HTTP/1.1\r\nHost: a\r\n\r\n').target, '/b')
})

test('the host name is lower case, without port and final dot', () => {
  assert.is(request('GET / HTTP/1.1\r\nHost: A.Example.COM.:8080\r\n\r\n').hostname, 'a.example.com')
  assert.is(request('GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n').hostname, '[::1]')
})

test('keep-alive is the default of 1.1 and a wish in 1.0', () => {
  assert.ok(request(get()).keepAlive)
  assert.not(request(get('Connection: foo, Close')).keepAlive)
  assert.not(request('GET / HTTP/1.0\r\nHost: a\r\n\r\n').keepAlive)
  assert.ok(request('GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n').keepAlive)
})

test('h2c is no upgrade', () => {
  assert.is(request(get('Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c')).upgrade, '')
  assert.is(request(get('Connection: Upgrade', 'Upgrade: websocket')).upgrade, 'websocket')
  assert.is(request(get('Upgrade: websocket')).upgrade, '')
})

test('HTTP/1.0 has no upgrades', () => {
  const text = get('Connection: keep-alive, Upgrade', 'Upgrade: websocket').replace('HTTP/1.1', 'HTTP/1.0')
  assert.is(request(text).upgrade, '')
})

test('the end of a head is found wherever it is cut, and a bare line feed at once', () => {
  const head = Buffer.from(get('X: 1'))
  for (let cut = 1; cut < head.length; cut++) {
    assert.is(headEnd(head.subarray(0, cut), 0), -1)
    assert.is(headEnd(head, cut), head.length)
  }
  assert.is(headEnd(Buffer.from('GET / HTTP/1.1\nHost: a\n\n'), 0), -2)
})

function badResponse(text: string): string {
  try {
    parseResponse(text, limits)
  } catch (error) {
    if (error instanceof BadResponse) return error.code
    throw error
  }
  return ''
}

const ok = (...lines: string[]) => ['HTTP/1.1 200 OK', ...lines, '', ''].join('\r\n')

for (const [code, what, text] of [
  ['H17', 'no reason phrase', 'HTTP/1.1 200\r\n\r\n'],
  ['H17', 'a two-digit status', 'HTTP/1.1 20 OK\r\n\r\n'],
  ['H17', 'another version', 'HTTP/2.0 200 OK\r\n\r\n'],
  ['H17', 'a bad header', ok('X : 1')],
  ['H17', 'another coding', ok('Transfer-Encoding: gzip, chunked')],
  ['H17', 'chunks in 1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['H25', 'two lengths', ok('Content-Length: 3', 'Content-Length: 3')],
  ['H25', 'a bad length', ok('Content-Length: +3')],
  ['H25', 'length and chunks', ok('Content-Length: 3', 'Transfer-Encoding: chunked')],
  ['H25', 'chunks and length', ok('Transfer-Encoding: chunked', 'Content-Length: 3')],
  ['H25', 'a huge cookie', ok(`Set-Cookie: ${'a'.repeat(8193)}`)],
  ['H25', 'a huge status line', `HTTP/1.1 200 ${'a'.repeat(8192)}\r\n\r\n`],
] as const)
  test(`a response with ${what} is ${code}`, () => {
    assert.is(badResponse(text), code)
  })

test('what is kept of the hosts that were asked for does not keep their heads', () => {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const ask = (n: number): void => {
    const lines = Array.from({ length: 7 }, (_, i) => `X-${i}: ${'a'.repeat(8000)}`)
    const text = ['GET / HTTP/1.1', `Host: some-host-${1000 + n}.example`, ...lines, '', ''].join('\r\n')
    request(Buffer.from(text, 'latin1').toString('latin1'))
  }
  ask(0)
  collect()
  const before = process.memoryUsage().heapUsed
  for (let n = 1; n < 500; n++) ask(n)
  collect()
  const grown = process.memoryUsage().heapUsed - before
  assert.ok(grown < 5_000_000, `${grown} bytes for 500 names`)
})

test.run()
