import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseRequest, parseResponse } from '../../router/head.ts'
import { limits } from '../../router/limits.ts'
import { type Passage, passageOf } from '../../router/passage.ts'

/** What is cut out of a head's text must be what the rules say, field by field. */

const NAMES = [
  ...['Accept', 'X-A', 'x_request_id', 'My_Own', 'Transfer_Encoding', 'COOKIE', 'Trailer', 'X-Forwarded-Host'],
  ...['X-Forwarded-For', 'x-forwarded-proto', 'X-Request-Id', 'Via', 'vIA', 'Keep-Alive', 'TE', 'Expect-Not', 'Te-'],
  ...['Proxy-Connection', 'Proxy-Authorization', 'HTTP2-Settings', 'Upgrade', 'X-Request-Start', 'Set-Cookie'],
]
const VALUES = ['', '1', 'a b', 'x, y', 'é', '01234567890123456789', ';=,']
const COLONS = [': ', ':', ':  ', ':\t', ':  \t']
const ENDS = ['', '', '', ' ', '\t ']
const CONNECTIONS = ['close', 'keep-alive', 'Keep-Alive, X-A', 'x-a, via, cookie, host', 'close, my_own', 'accept']

/** A small generator with a seed, so that a failure comes again (Numerical Recipes' LCG). */
function drawer(seed: number): <T>(from: readonly T[]) => T {
  let state = seed
  return (from) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return from[Math.floor((state / 2 ** 32) * from.length)] as (typeof from)[number]
  }
}

function lines(seed: number): string[] {
  const draw = drawer(seed)
  const count = draw([0, 1, 2, 3, 5, 8])
  const found: string[] = []
  for (let i = 0; i < count; i++) found.push(`${draw(NAMES)}${draw(COLONS)}${draw(VALUES)}${draw(ENDS)}`)
  if (draw([true, false])) found.push(`Connection: ${draw(CONNECTIONS)}`)
  found.push('Host: a')
  return found.sort(() => draw([-1, 1]))
}

const plain = ({ lines, via, forwarded, requestId }: Passage) => ({ lines, via, forwarded, requestId })

test('what goes on of 5,000 drawn requests and responses is what the rules say of each field', () => {
  let cut = 0
  for (let seed = 0; seed < 5000; seed++) {
    const fields = `${lines(seed).join('\r\n')}\r\n\r\n`
    const request = parseRequest(`GET / HTTP/1.1\r\n${fields}`, limits)
    const response = parseResponse(`HTTP/1.1 200 OK\r\n${fields}`, limits)
    if (request.passage !== undefined) {
      cut++
      const ruled = passageOf(request.fields, request.connection, 'request')
      assert.equal(plain(request.passage), plain(ruled), JSON.stringify(fields))
    }
    if (response.passage !== undefined) {
      const { lines, via } = passageOf(response.fields, response.connection, 'response')
      assert.equal([response.passage.lines, response.passage.via], [lines, via], JSON.stringify(fields))
    }
  }
  assert.ok(cut > 1000, `${cut} heads were cut`)
})

test('a head whose Connection names other fields is left to the rules', () => {
  const head = parseRequest('GET / HTTP/1.1\r\nHost: a\r\nConnection: x-a\r\nX-A: 1\r\n\r\n', limits)
  assert.is(head.passage, undefined)
})

test.run()
