import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createDoubt } from '../../daemon/engine/doubt.ts'
import { type Frame, frames } from '../../daemon/engine/frames.ts'
import { createPieces, startOf } from '../../daemon/engine/piece.ts'
import { createSilence } from '../../daemon/engine/silence.ts'
import { waitFor } from '../e2e/wait.ts'

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

const DAY = Date.parse('2026-01-01T00:00:00Z')
/** An entry so many ms into the year. */
const entry = (ms: number, text: string, stream: Frame['stream'] = 'stdout') =>
  startOf({ stream, data: Buffer.from(`${new Date(DAY + ms).toISOString().slice(0, -1)}000000Z ${text}`) })
const still = () => 0

test('what is read again is given once, whatever the order of the two streams', () => {
  const log = [
    entry(1, 'a\n'),
    entry(5, 'b\n'),
    entry(3, 'c\n', 'stderr'),
    entry(5, 'd\n'),
    entry(4, 'e\n', 'stderr'),
    entry(6, 'f\n'),
  ]
  for (const how of ['again', 'end'] as const)
    for (let cut = 0; cut <= log.length; cut++) {
      const pieces = createPieces(still)
      const given = log.slice(0, cut).map((piece) => pieces.next(piece))
      const { since } = pieces[how]()
      assert.is(since === undefined, cut === 0)
      for (const piece of log) if (Date.parse(piece.stamp) >= (since ?? 0)) given.push(pieces.next(piece))
      assert.is(given.map((chunk) => chunk?.data.toString() ?? '').join(''), 'a\nb\nc\nd\ne\nf\n')
    }
})

test('of a long log only the end is read again', () => {
  const pieces = createPieces(still)
  for (let n = 0; n < 10_000; n++) pieces.next(entry(n, 'x\n'))
  const { since } = pieces.end()
  assert.ok(since && since > DAY + 8990 && since < DAY + 9999, String(since))
  for (let n = since - DAY; n < 10_000; n++) assert.is(pieces.next(entry(Math.ceil(n), 'x\n')), null)
  assert.is(pieces.next(entry(10_000, 'new\n'))?.data.toString(), 'new\n')
})

test('what the engine repeats after it has rotated a file is not given again', () => {
  const pieces = createPieces(still)
  const texts = (...entries: ReturnType<typeof entry>[]) =>
    entries.map((piece) => pieces.next(piece)?.data.toString() ?? '').join('')
  const file = [entry(1, 'a\n'), entry(2, 'b\n', 'stderr'), entry(3, 'c\n'), entry(3, 'd\n')]
  assert.is(texts(...file), 'a\nb\nc\nd\n')
  assert.is(texts(...file, entry(3, 'e\n'), entry(4, 'f\n', 'stderr')), 'e\nf\n')
  assert.is(texts(entry(2, 'b\n', 'stderr'), entry(4, 'f\n', 'stderr'), entry(5, 'g\n', 'stderr')), 'g\n')
})

test('a clock that is set back makes no line a repetition', () => {
  let clock = 1000
  const pieces = createPieces(() => clock)
  pieces.next(entry(5000, 'before\n'))
  pieces.next(entry(5000, 'before\n', 'stderr'))
  clock = 0
  assert.is(pieces.next(entry(4000, 'after\n'))?.data.toString(), 'after\n')
  assert.is(pieces.next(entry(4000, 'after\n', 'stderr'))?.data.toString(), 'after\n')
  assert.is(pieces.next(entry(3000, 'again\n')), null)
})

test('a jump in the times of a busy log that is read late raises doubt, and no other', () => {
  const now = Date.now()
  const at = (ms: number) => startOf({ stream: 'stdout', data: Buffer.from(`${new Date(ms).toISOString()} x`) })
  const MiB = 1024 * 1024
  const cases: [bytes: number, late: number, jump: number, doubt: boolean][] = [
    [MiB, 300, 200, true],
    [MiB, 300, 10, false],
    [MiB, -60_000, 200, false],
    [1000, 300, 200, false],
  ]
  for (const [bytes, late, jump, expected] of cases) {
    const doubt = createDoubt({ newest: now - late }, now - 10_000)
    doubt.took(bytes)
    assert.is(doubt.about(at(now - late + jump)), expected, `${bytes} bytes, late by ${late}, a jump of ${jump} ms`)
    assert.is(doubt.raised, expected)
  }
  const stored = createDoubt({ newest: now - 300 }, now)
  stored.took(MiB)
  assert.not(stored.about(at(now - 100)), 'what was stored when the reading began is whole')
})

test('a busy log that falls silent is looked at soon, and is followed again only if more is stored', async () => {
  let looked = 0
  let behind = false
  let stalled = 0
  const silence = createSilence(
    async () => {
      looked++
      return behind
    },
    () => {
      stalled++
    },
  )
  silence.heard(false)
  silence.heard(true)
  await waitFor('a look', () => looked === 1, { every: 5 })
  assert.is(stalled, 0)
  behind = true
  await waitFor('the stall to be seen', () => stalled === 1, { every: 5 })
  assert.is(looked, 2)
  silence.end()
})

test('the newline after the last part of a long line is put back, on its own stream, and on no other line', () => {
  const pieces = createPieces()
  const give = (stream: 'stdout' | 'stderr', data: string) =>
    pieces.next({ stream, stamp: '2026-01-01T00:00:00.000000001Z', data: Buffer.from(data) })?.data.toString()
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
