import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { joined } from '../../router/input.ts'

test('many small pieces are one, and are moved a few times only', () => {
  const piece = Buffer.from('ab')
  const rooms = new Set<ArrayBufferLike>()
  let kept: Buffer | null = null
  for (let i = 0; i < 10_000; i++) {
    kept = joined(kept, piece)
    rooms.add(kept.buffer)
  }
  assert.is(kept?.toString(), 'ab'.repeat(10_000))
  assert.ok(rooms.size < 20, `${rooms.size} times`)
})

test('what was handed on from the front is never written over', () => {
  const handed: Buffer[] = []
  let kept: Buffer = Buffer.from('0')
  let text = '0'
  for (let i = 1; i < 500; i++) {
    text += String(i)
    kept = joined(kept, Buffer.from(String(i)))
    if (i % 3 !== 0) continue
    const front: number = Math.ceil(kept.length / 2)
    handed.push(kept.subarray(0, front))
    kept = kept.subarray(front)
  }
  assert.is(Buffer.concat([...handed, kept]).toString(), text)
})

test('pieces that were not ours are left alone', () => {
  const shared = Buffer.from('headXXXX')
  assert.is(joined(shared.subarray(0, 4), Buffer.from('body')).toString(), 'headbody')
  assert.is(shared.toString(), 'headXXXX')
})

test.run()
