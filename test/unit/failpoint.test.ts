import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { armFailpoints, failpoint } from '../../daemon/failpoint.ts'

test('without a folder nothing is struck, and one that is not there is told at start, not at each step', async () => {
  armFailpoints(undefined)
  await failpoint('push.received')
  assert.throws(
    () => armFailpoints('/nonexistent'),
    /SLUICE_FAILPOINTS is "\/nonexistent", and there is no such folder/,
  )
  await failpoint('push.received')
})

test.run()
