import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createCut, markOf } from '../../daemon/engine/mark.ts'

const mark = markOf('4e3c')
const end = (code: string) => `\x1e${mark}\x1e${code}`

/** What comes out when the text is cut into pieces of this size, and the exit code that was read. */
function cutIn(text: string, size: number): { output: string; exitCode: number | undefined } {
  const cut = createCut(mark)
  const whole = Buffer.from(text)
  const out: Buffer[] = []
  for (let at = 0; at < whole.length; at += size) out.push(cut.take(whole.subarray(at, at + size)))
  out.push(cut.rest())
  return { output: Buffer.concat(out).toString(), exitCode: cut.exitCode }
}

test('a stream ends at its mark and tells the exit code, however it is cut', () => {
  for (let size = 1; size < 60; size++)
    assert.equal(cutIn(`one\ntwo${end('007')}      `, size), { output: 'one\ntwo', exitCode: 7 })
})

test('what only begins like the mark is output, also at the end', () => {
  for (const text of [end('').slice(0, -1), `\x1e\x1e${end('').slice(0, 5)}x\x1e`, `a\x1e${mark}b`, end('12'), ''])
    for (const size of [1, 2, 3, 100]) assert.equal(cutIn(text, size), { output: text, exitCode: undefined })
})

test('nothing is held back but what may be the beginning of the mark', () => {
  const cut = createCut(mark)
  assert.is(cut.take(Buffer.from('prompt$ ')).toString(), 'prompt$ ')
  assert.is(cut.take(Buffer.from('\x1e5')).toString(), '')
  assert.is(cut.take(Buffer.from('x')).toString(), '\x1e5x')
})

test('a mark is made of digits, and no other id has the same', () => {
  assert.match(mark, /^\d+$/)
  assert.not.equal(markOf('4e3d'), mark)
})

test.run()
