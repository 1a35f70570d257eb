import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createEnds } from '../../daemon/engine/ends.ts'

const open = (tells = true) => createEnds(() => tells)

test('who ends soon after the kernel has killed a process of it has run out of memory, whatever its status', () => {
  const ends = open()
  ends.starved('a', 1000)
  for (const exitCode of [137, 1, 0]) assert.ok(ends.outOfMemory('a', { exitCode, at: 6000 }))
  assert.not(ends.outOfMemory('a', { exitCode: 137, at: 6001 }))
  assert.not(ends.outOfMemory('b', { exitCode: 1, at: 1000 }))
})

test('who kills itself has not', () => {
  assert.not(open().outOfMemory('a', { exitCode: 137, at: 0 }))
})

test('what the engine says after the end counts for a SIGKILL only, because nobody knows when it was', () => {
  assert.ok(open().outOfMemory('a', { exitCode: 137, at: 0, starved: true }))
  assert.not(open().outOfMemory('a', { exitCode: 1, at: 0, starved: true }))
})

test('of an engine that does not tell, a SIGKILL that was not ours is taken for the kernel’s', () => {
  const ends = open(false)
  assert.ok(ends.outOfMemory('a', { exitCode: 137, at: 0 }))
  assert.not(ends.outOfMemory('a', { exitCode: 143, at: 0 }))
})

test('a SIGKILL of ours is never the kernel’s', () => {
  const ends = open(false)
  ends.starved('a', 0)
  ends.killing('a')
  assert.not(ends.outOfMemory('a', { exitCode: 137, at: 0, starved: true }))
})

test('the newest ten thousand are remembered', () => {
  const ends = open()
  for (let n = 0; n <= 10_000; n++) ends.starved(`${n}`, 0)
  assert.not(ends.outOfMemory('0', { exitCode: 1, at: 0 }))
  assert.ok(ends.outOfMemory('1', { exitCode: 1, at: 0 }))
})

test.run()
