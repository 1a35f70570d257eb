import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Connection } from '../../daemon/engine/connection.ts'
import { memoryUsed } from '../../daemon/engine/usage.ts'

const answering = (answer: () => unknown): Connection =>
  ({ ask: async () => answer() }) as Partial<Connection> as Connection

test('what a dyno uses is what the engine counts, less what the kernel would take back', async () => {
  const used = (memory_stats: object) =>
    memoryUsed(
      answering(() => ({ memory_stats })),
      'dyno',
    )
  assert.is(await used({ usage: 300, stats: { total_inactive_file: 100, inactive_file: 1 } }), 200)
  assert.is(await used({ usage: 300, stats: { inactive_file: 50 } }), 250)
  assert.is(await used({ usage: 300 }), 300)
  assert.is(await used({ usage: 10, stats: { inactive_file: 50 } }), 0)
})

test('a container that begins or ends, and an engine that fails, tell nothing and break nothing', async () => {
  for (const answer of [{}, null, { memory_stats: {} }])
    assert.is(
      await memoryUsed(
        answering(() => answer),
        'dyno',
      ),
      null,
    )
  const failing = answering(() => {
    throw new Error('no such container')
  })
  assert.is(await memoryUsed(failing, 'dyno'), null)
})

test.run()
