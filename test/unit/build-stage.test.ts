import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createStopwatch, readStages } from '../../daemon/build/stage.ts'

test('a stage lasts until the next one begins, in whatever order they were told', () => {
  const stopwatch = createStopwatch()
  stopwatch.enter('lay', 1000)
  stopwatch.enter('start', 1200)
  stopwatch.enter('release', 5000)
  for (const { stage, at } of readStages(
    '0000000001.500000 compile\n0000000002,250999 detect\n0000000003.000000 compile\n',
  ))
    stopwatch.enter(stage, at)
  assert.equal(stopwatch.end(5010), { lay: 200, start: 300, compile: 750 + 2000, detect: 750, release: 10 })
})

test('what a build makes up is no stage', () => {
  assert.equal(readStages('1700000000.000000 lunch\nlay\n99999999999999.0 lay\n'), [])
  assert.is(readStages('1700000000.000000 compile\n'.repeat(1000)).length, 120)
})

test.run()
