import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { run } from '../../daemon/build/command.ts'

test('what the daemon runs for builds goes after its own work, and first when memory runs out', async () => {
  // The child may be there before it has been told.
  const wait = 'while [ "$(nice)" = 0 ] || [ "$(cat /proc/$$/oom_score_adj)" != 500 ]; do :; done'
  assert.is(await run('sh', ['-c', `${wait}; nice; cat /proc/$$/oom_score_adj`]), '10\n500\n')
})

test.run()
