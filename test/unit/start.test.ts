import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createStart } from '../../daemon/run/start.ts'

test('the start is over when the engine was listed and every app has had a look, also one that failed', async () => {
  let told = 0
  const start = createStart(() => told++)
  assert.not(start.isOver(), 'nothing is known yet')
  await start.seeing('early', Promise.resolve())
  start.known(['a', 'b'])
  assert.not(start.isOver())
  assert.is(await start.seeing('a', Promise.resolve(7)), 7)
  assert.not(start.isOver())
  assert.is(told, 0)
  await start.seeing('b', Promise.reject(new Error('broken'))).catch(() => {})
  assert.ok(start.isOver())
  await start.seeing('b', Promise.resolve())
  assert.is(told, 1)
})

test('without apps it is over with the first list, and a further list begins nothing anew', () => {
  let told = 0
  const start = createStart(() => told++)
  start.known([])
  assert.ok(start.isOver())
  assert.is(told, 1)
  start.known(['later'])
  assert.ok(start.isOver())
})

test.run()
