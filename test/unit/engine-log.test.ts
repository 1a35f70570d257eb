import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Frame, frames } from '../../daemon/engine/frames.ts'
import { createPieces, startOf } from '../../daemon/engine/piece.ts'

const frame = (stream: 1 | 2, data: string | Buffer): Buffer => {
  const header = Buffer.alloc(8)
  header[0] = stream
  header.writeUInt32BE(Buffer.byteLength(data), 4)
  return Buffer.concat([header, Buffer.from(data)])
}

async function read(chunks: Buffer[]): Promise<Frame[]> {
  const read: Frame[] = []
  for await (const one of frames(
    (async function* () {
      yield* chunks
    })(),
  ))
    read.push(one)
  return read
}

test('a multiplexed stream is split the same however it is cut', async () => {
  const whole = Buffer.concat([frame(1, 'out\n'), frame(2, ''), frame(2, '世界'), frame(1, Buffer.alloc(70_000, 'x'))])
  const expected = await read([whole])
  assert.equal(
    expected.map(({ stream, data }) => [stream, data.length]),
    [
      ['stdout', 4],
      ['stderr', 0],
      ['stderr', 6],
      ['stdout', 70_000],
    ],
  )
  for (const size of [1, 7, 8, 9, 4096]) {
    const cut: Buffer[] = []
    for (let at = 0; at < whole.length; at += size) cut.push(whole.subarray(at, at + size))
    assert.equal(await read(cut), expected)
  }
})

test('what is read again after the end is given once, although parts of a line share a time out of order', () => {
  const entry = (stamp: string, text: string) =>
    startOf({ stream: 'stdout', data: Buffer.from(`2026-01-01T00:00:00.00000000${stamp}Z ${text}`) })
  const log = [
    entry('1', 'a\n'),
    entry('5', 'b\n'),
    entry('3', 'c\n'),
    entry('5', 'd\n'),
    entry('4', 'e\n'),
    entry('6', 'f\n'),
  ]
  for (let cut = 0; cut <= log.length; cut++) {
    const pieces = createPieces()
    const given = log.slice(0, cut).map((piece) => pieces.next(piece))
    const first = log
      .slice(0, cut)
      .map(({ stamp }) => stamp)
      .sort()[0]
    const { since, next } = pieces.again()
    assert.is(since, first && `1767225600.${first.slice(20, 29)}`)
    for (const piece of log.filter(({ stamp }) => first === undefined || stamp >= first)) {
      const chunk = next(piece)
      if (chunk) given.push(chunk)
    }
    assert.is(given.map(({ data }) => data.toString()).join(''), 'a\nb\nc\nd\ne\nf\n')
  }
})

test('of a long log only the end is read again', () => {
  const pieces = createPieces()
  const stampOf = (n: number) => `2026-01-01T00:00:00.${String(n).padStart(9, '0')}Z`
  const piece = (n: number) => ({ stream: 'stdout' as const, stamp: stampOf(n), data: Buffer.from(`${n}\n`) })
  for (let n = 0; n < 10_000; n++) pieces.next(piece(n))
  const { since, next } = pieces.again()
  const first = Number(since?.split('.')[1])
  assert.ok(first > 9000 && first < 10_000, since)
  for (let n = first; n < 10_000; n++) assert.is(next(piece(n)), null)
  assert.is(next(piece(10_000))?.data.toString(), '10000\n')
})

test('the newline after the last part of a long line is put back, on its own stream, and on no other line', () => {
  const pieces = createPieces()
  const give = (stream: 'stdout' | 'stderr', data: string) =>
    pieces.next({ stream, stamp: '2026-01-01T00:00:00.000000001Z', data: Buffer.from(data) }).data.toString()
  const part = 'x'.repeat(16 * 1024)
  assert.is(give('stdout', part), part)
  assert.is(give('stdout', part), part)
  assert.is(give('stderr', 'no newline'), 'no newline')
  assert.is(give('stdout', 'end'), 'end\n')
  assert.is(give('stdout', 'no newline'), 'no newline')
  give('stdout', part)
  assert.is(give('stdout', 'end\n'), 'end\n')
  assert.is(give('stdout', 'tail'), 'tail')
})

test.run()
