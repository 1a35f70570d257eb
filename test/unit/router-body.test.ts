import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Body, createBody } from '../../router/body.ts'
import { limits } from '../../router/limits.ts'

/** Feeds `text` in pieces of `size`, as a connection would: what was not used comes again with more behind it. */
function feed(body: Body, text: string, size: number): { out: string; rest: string } {
  let held = ''
  let out = ''
  for (let at = 0; at < text.length && body.state === 'more'; at += size) {
    held += text.slice(at, at + size)
    const used = body.feed(Buffer.from(held, 'latin1'), (piece) => {
      out += piece.toString('latin1')
    })
    held = held.slice(used)
    if (body.state !== 'more') return { out, rest: held + text.slice(at + size) }
  }
  return { out, rest: held }
}

const chunked = 'a;x=y\r\n0123456789\r\n3\r\nabc\r\n0\r\n\r\n'

test('chunks pass as they are, however they are cut, and what follows is not touched', () => {
  for (let size = 1; size <= chunked.length + 4; size++) {
    const body = createBody('chunked', limits)
    const { out, rest } = feed(body, `${chunked}NEXT`, size)
    assert.is(body.state, 'done')
    assert.is(out, chunked)
    assert.is(rest, 'NEXT')
  }
})

test('decoded chunks are the data alone', () => {
  for (let size = 1; size <= chunked.length; size++) {
    const body = createBody('chunked', limits, true)
    assert.is(feed(body, chunked, size).out, '0123456789abc')
    assert.is(body.state, 'done')
  }
})

test('trailers pass, those that would change the head do not', () => {
  const text = '1\r\na\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\nHost: b\r\nTransfer_Encoding: x\r\n\r\n'
  for (let size = 1; size <= text.length; size++) {
    const body = createBody('chunked', limits)
    assert.is(feed(body, text, size).out, '1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n')
  }
})

const bad = {
  'a sign': '+1\r\na\r\n0\r\n\r\n',
  'a prefix': '0x1\r\na\r\n0\r\n\r\n',
  'a blank': '1 \r\na\r\n0\r\n\r\n',
  'a leading blank': ' 1\r\na\r\n0\r\n\r\n',
  'an underscore': '1_0\r\na\r\n0\r\n\r\n',
  'no size': '\r\na\r\n0\r\n\r\n',
  'thirteen digits': '0000000000001\r\na\r\n0\r\n\r\n',
  'a bare line feed after the size': '1\na\r\n0\r\n\r\n',
  'a bare line feed after the data': '1\r\na\n0\r\n\r\n',
  'data that is too long': '1\r\nab\r\n0\r\n\r\n',
  'a bare CR in the extension': '1;a\rb\r\na\r\n0\r\n\r\n',
  'a long extension': `1;${'a'.repeat(300)}\r\na\r\n0\r\n\r\n`,
  'a bad trailer': '1\r\na\r\n0\r\nX : 1\r\n\r\n',
  'a bare line feed in the trailers': '1\r\na\r\n0\r\nX: 1\nY: 2\r\n\r\n',
  'long trailers': `1\r\na\r\n0\r\n${`X: ${'a'.repeat(100)}\r\n`.repeat(100)}\r\n`,
}

for (const [what, text] of Object.entries(bad))
  test(`a chunked body with ${what} is bad, and never looks complete`, () => {
    for (const size of [1, 2, 7, text.length]) {
      const body = createBody('chunked', limits)
      const { out } = feed(body, text, size)
      assert.is(body.state, 'bad', `in pieces of ${size}`)
      assert.not.match(out, /(^|\n)0\r\n/)
    }
  })

test('extensions of a body are bounded by its data and 16 KiB more', () => {
  const flood = `1;${'a'.repeat(200)}\r\na\r\n`.repeat(100)
  assert.is(feedAll(`${flood}0\r\n\r\n`).state, 'bad')
  const fair = `200;${'a'.repeat(200)}\r\n${'a'.repeat(0x200)}\r\n`.repeat(100)
  assert.is(feedAll(`${fair}0\r\n\r\n`).state, 'done')
})

function feedAll(text: string): Body {
  const body = createBody('chunked', limits)
  feed(body, text, text.length)
  return body
}

test('a counted body ends with its last byte', () => {
  const body = createBody(5, limits)
  assert.equal(feed(body, 'helloNEXT', 3), { out: 'hello', rest: 'NEXT' })
  assert.is(body.state, 'done')
  assert.is(createBody(0, limits).state, 'done')
})

test('a piece with nothing in it does not end a body that its carrier ends', () => {
  const body = createBody('ended', limits)
  let out = ''
  const sink = (piece: Buffer | string): void => {
    out += piece.toString('latin1')
  }
  for (const piece of ['ab', '', 'c']) body.feed(Buffer.from(piece), sink)
  body.end([], sink)
  assert.is(out, '2\r\nab\r\n1\r\nc\r\n0\r\n\r\n')
})

test.run()
