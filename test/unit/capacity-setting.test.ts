import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { readConfig } from '../../daemon/config.ts'

test('the memory that dynos may have is given in MB or GB, and is not bounded unless it is given', () => {
  assert.is(readConfig({}).memory, undefined)
  assert.is(readConfig({ SLUICE_MEMORY: '1536MB' }).memory, 1536 * 1024 ** 2)
  assert.is(readConfig({ SLUICE_MEMORY: '64gb' }).memory, 64 * 1024 ** 3)
  for (const odd of ['64', '0GB', '-1GB', '1.5GB', '64 TB', 'GB'])
    assert.throws(() => readConfig({ SLUICE_MEMORY: odd }), /it must be a size such as 64GB or 1536MB/)
  assert.is(readConfig({ SLUICE_MEMORY: '512MB' }).memory, 512 * 1024 ** 2)
  assert.throws(
    () => readConfig({ SLUICE_MEMORY: '511MB' }),
    /it must be at least 512MB, which one dyno or one build takes/,
  )
})

test('the number of builds at once is a setting', () => {
  assert.is(readConfig({}).builds, undefined)
  assert.is(readConfig({ SLUICE_BUILDS: '3' }).builds, 3)
  for (const odd of ['0', 'many', '1.5'])
    assert.throws(() => readConfig({ SLUICE_BUILDS: odd }), /SLUICE_BUILDS is .*; it must be a whole number above 0/)
})

test.run()
