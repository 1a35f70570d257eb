import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseResponse, Refusal } from '../../router/head.ts'
import { requestOf, responseHeaders, trailersOf } from '../../router/http2-head.ts'
import { limits } from '../../router/limits.ts'

/** What nghttp2 refuses before us is refused here all the same: it is not our parser. */

const plain = [':method', 'GET', ':scheme', 'https', ':path', '/', ':authority', 'A.localhost:443']
const parse = (raw: string[], whole = true) => requestOf(raw, whole, limits)

function refused(raw: string[], whole = true): number {
  try {
    parse(raw, whole)
  } catch (error) {
    if (error instanceof Refusal) return error.status
    throw error
  }
  return 0
}

const changed = (name: string, value: string): string[] =>
  plain.map((text, at) => (plain[at - 1] === name ? value : text))
const without = (name: string): string[] => plain.filter((text, at) => text !== name && plain[at - 1] !== name)

test('a head is what it would be in HTTP/1.1', () => {
  const head = parse([...plain, 'cookie', 'a=1', 'accept', '*/*', 'cookie', 'b=2', 'te', 'Trailers'])
  assert.equal(
    [head.method, head.target, head.host, head.hostname, head.body, head.minor],
    ['GET', '/', 'A.localhost:443', 'a.localhost', 0, 1],
  )
  assert.ok(head.fields.join('|').includes('cookie|cookie|a=1; b=2'))
  assert.is(head.upgrade, '')
})

test('Host stands in for an authority, and may only repeat one', () => {
  assert.is(parse([...without(':authority'), 'host', 'b.localhost']).hostname, 'b.localhost')
  assert.is(parse([...plain, 'host', 'a.LOCALHOST:443']).hostname, 'a.localhost')
  assert.is(refused([...plain, 'host', 'a.localhost']), 400)
  assert.is(refused([...without(':authority'), 'host', 'a', 'host', 'b']), 400)
  assert.is(refused(without(':authority')), 400)
})

test('the length of a body: as said, none, or to its end', () => {
  assert.is(parse([...plain, 'content-length', '3'], false).body, 3)
  assert.is(parse([...plain, 'content-length', '0'], false).body, 0)
  assert.is(parse(plain, false).body, 'ended')
  assert.is(parse([...plain, 'trailer', 'content-length'], false).body, 'ended')
  assert.is(parse([...plain, 'content-length', '0']).body, 0)
  for (const length of ['+3', '-1', '0x3', '3, 3', '', '1e1', '1234567890123456'])
    assert.is(refused([...plain, 'content-length', length], false), 400, length)
  assert.is(refused([...plain, 'content-length', '3', 'content-length', '4'], false), 400)
  assert.is(refused([...plain, 'content-length', '3']), 400)
})

test('pseudo-headers: each of the four once, no other', () => {
  for (const name of [':method', ':scheme', ':path']) assert.is(refused(without(name)), 400, name)
  assert.is(refused([...plain, ':path', '/x']), 400)
  assert.is(refused([...plain, ':protocol', 'websocket']), 400)
  assert.is(refused([...plain, ':status', '200']), 400)
  assert.is(refused(changed(':scheme', 'http')), 400)
  assert.is(refused(changed(':method', 'CONNECT')), 405)
  assert.is(refused(changed(':method', 'TRACE')), 405)
  assert.is(refused(changed(':method', 'G T')), 400)
  for (const path of ['', 'x', 'https://a.localhost/', '*', '/a b', '/a\r\nx: y', '/\0', '/#x', '/\xe9', '/ HTTP/1.1'])
    assert.is(refused(changed(':path', path)), 400, path)
  assert.is(parse([...changed(':path', '*'), ':method', 'OPTIONS'].filter((_, at) => at > 1)).target, '*')
  for (const host of ['', 'a b', 'me@a.localhost', 'a.localhost/', 'a.localhost:x', 'a\r\nx: y'])
    assert.is(refused(changed(':authority', host)), 400, host)
})

test('nothing of HTTP/1.1’s connections, and no way to slip a line in', () => {
  for (const name of ['connection', 'proxy-connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'http2-settings'])
    assert.is(refused([...plain, name, 'x']), 400, name)
  assert.is(refused([...plain, 'te', 'gzip']), 400)
  for (const [name, value] of [
    ['x', 'a\r\ny: b'],
    ['x', 'a\nb'],
    ['x', '\0'],
    ['x', 'a\x7f'],
    ['x: y', 'b'],
    ['x:y', 'b'],
    ['x\r\ny', 'b'],
    ['', 'b'],
    ['X', 'b'],
    ['x ', 'b'],
    ['caf\xe9', 'b'],
  ] as const)
    assert.is(refused([...plain, name, value]), 400, JSON.stringify([name, value]))
  assert.is(refused([...plain, 'expect', 'more']), 417)
  assert.is(refused([...plain, 'x', 'v'.repeat(9000)]), 431)
  assert.is(refused([...plain, ...Array.from({ length: 9 }, (_, n) => [`x-${n}`, 'v'.repeat(8000)]).flat()]), 431)
  assert.is(refused(changed(':path', `/${'p'.repeat(9000)}`)), 414)
})

test('trailers are bounded, and a line cannot be slipped into one', () => {
  assert.equal(trailersOf(['x-sum', '7'], limits), ['x-sum', 'x-sum', '7'])
  assert.is(trailersOf(['x', 'v'.repeat(9000)], limits), undefined)
  assert.is(trailersOf(['x', 'a\r\ny: b'], limits), undefined)
  assert.is(trailersOf(['x: y', 'b'], limits), undefined)
})

test('a response’s fields: hop by hop ones stay, repeated ones are one, cookies are several, any name is a name', () => {
  const text = [
    'HTTP/1.1 200 OK',
    ...['Connection: X-Hop', 'X-Hop: 1', 'Transfer-Encoding: chunked', 'Set-Cookie: a=1', 'Set-Cookie: b=2'],
    ...['Location: /x', 'Location: /y', 'Constructor: c', '__proto__: p', 'Via: 1.0 inner', '', ''],
  ].join('\r\n')
  const more = ['set-cookie', 'Set-Cookie', 'c=3']
  assert.equal(Object.entries(responseHeaders(parseResponse(text, limits), more)), [
    [':status', 200],
    ['set-cookie', ['a=1', 'b=2', 'c=3']],
    ['location', '/x, /y'],
    ['constructor', 'c'],
    ['__proto__', 'p'],
    ['via', '1.0 inner, 1.1 sluice'],
  ])
  const length = (status: string) =>
    responseHeaders(parseResponse(`HTTP/1.1 ${status}\r\nContent-Length: 7\r\n\r\n`, limits))['content-length']
  assert.equal([length('200 OK'), length('304 Not Modified'), length('204 No Content')], ['7', '7', undefined])
})

test.run()
