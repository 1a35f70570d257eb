import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { acceptsWebSocket, closeFrame, Frames } from '../../router/frames.ts'
import { parseResponse } from '../../router/head.ts'
import { limits } from '../../router/limits.ts'

const mulberry = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}

/** A frame as RFC 6455 5.2 draws it, with a payload that looks like headers. */
function frame({ opcode = 1, fin = true, masked = false, size = 0 }): Buffer {
  const head = [(fin ? 0x80 : 0) | opcode]
  const mask = masked ? 0x80 : 0
  if (size < 126) head.push(mask | size)
  else if (size < 65_536) head.push(mask | 126, size >> 8, size & 255)
  else head.push(mask | 127, 0, 0, 0, 0, size >>> 24, (size >> 16) & 255, (size >> 8) & 255, size & 255)
  return Buffer.concat([Buffer.from(head), Buffer.alloc(masked ? 4 : 0, 0x88), Buffer.alloc(size, 0x88)])
}

test('boundaries are found however the bytes are cut', () => {
  const random = mulberry(7)
  const sizes = [0, 1, 2, 125, 126, 127, 300, 65_535, 65_536, 70_000]
  for (let history = 0; history < 300; history++) {
    const masked = random() < 0.5
    const ends = new Set<number>()
    const parts: Buffer[] = []
    let length = 0
    let open = false
    for (let i = 0; i < 12; i++) {
      const control = random() < 0.3
      const size = sizes[Math.floor(random() * (control ? 4 : sizes.length))] ?? 0
      const fin = control || random() < 0.6
      const part = frame({ opcode: control ? 9 : open ? 0 : 2, fin, masked, size })
      if (!control) open = !fin
      parts.push(part)
      length += part.length
      if (!open) ends.add(length)
    }
    const bytes = Buffer.concat(parts)
    const frames = new Frames(masked)
    const found = new Set<number>()
    for (let at = 0; at < bytes.length; ) {
      const most = random() < 0.5 ? 3 : 50_000
      let piece = bytes.subarray(at, at + 1 + Math.floor(random() * most))
      while (piece.length > 0) {
        const used = frames.follow(piece, true)
        at += used
        piece = piece.subarray(used)
        if (frames.atRest) found.add(at)
      }
    }
    assert.equal([...found], [...ends], `history ${history}`)
    assert.not(frames.lost)
  }
})

test('between fragments is between frames, and no rest', () => {
  const frames = new Frames(false)
  frames.follow(frame({ fin: false, size: 10 }), false)
  assert.ok(frames.between)
  assert.not(frames.atRest)
  frames.follow(frame({ opcode: 9 }), false)
  assert.not(frames.atRest, 'a ping does not end a message')
  frames.follow(frame({ opcode: 0, size: 3 }), false)
  assert.ok(frames.atRest)
})

test('a close frame is the last, once it is whole', () => {
  const close = closeFrame(false)
  const frames = new Frames(false)
  frames.follow(close.subarray(0, 5), false)
  assert.not(frames.closed)
  frames.follow(Buffer.concat([close.subarray(5), Buffer.from('whatever')]), false)
  assert.ok(frames.closed)
  assert.not(frames.lost)
})

for (const [what, bytes] of [
  ['a frame that is not masked', frame({ size: 5 })],
  ['a reserved opcode', frame({ masked: true, opcode: 3 })],
  ['a reserved control opcode', frame({ masked: true, opcode: 11 })],
  ['a ping in fragments', frame({ masked: true, opcode: 9, fin: false })],
  ['a ping that is too long', frame({ masked: true, opcode: 9, size: 126 })],
  ['a length beyond all bounds', Buffer.from([0x82, 0xff, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0])],
] as const)
  test(`${what} from a client is no WebSocket any more`, () => {
    const frames = new Frames(true)
    frames.follow(bytes, false)
    assert.ok(frames.lost)
    assert.not(frames.between)
  })

test('our close frame tells 1001, and to a dyno it is masked with a new key each time', () => {
  assert.equal(closeFrame(false).subarray(0, 4), Buffer.from([0x88, 12, 0x03, 0xe9]))
  const [one, other] = [closeFrame(true), closeFrame(true)]
  assert.equal(one.subarray(0, 2), Buffer.from([0x88, 0x80 | 12]))
  assert.not.equal(one.subarray(2, 6), other.subarray(2, 6))
  const plain = one.subarray(6).map((byte, at) => byte ^ (one[2 + (at % 4)] ?? 0))
  assert.equal(plain, closeFrame(false).subarray(2))
})

test('only a handshake that was accepted as a WebSocket is one', () => {
  const head = (...lines: string[]) =>
    parseResponse(['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', ...lines, '', ''].join('\r\n'), limits)
  assert.ok(acceptsWebSocket(head('Upgrade: WebSocket', 'Sec-WebSocket-Accept: x')))
  assert.not(acceptsWebSocket(head('Upgrade: websocket')))
  assert.not(acceptsWebSocket(head('Upgrade: tcp', 'Sec-WebSocket-Accept: x')))
})

test.run()
