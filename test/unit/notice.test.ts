import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as notice from '../../daemon/run/notice.ts'

const end = { exitCode: 0, outOfMemory: false, overdue: false, memory: 512 * 1024 * 1024 }

test('a state changes in Heroku’s words, which its clients colour', () => {
  assert.is(notice.changed('starting', 'up'), 'State changed from starting to up')
  assert.is(notice.startingProcess('node x.js'), 'Starting process with command `node x.js`')
})

test('who takes the name of a dyno that runs restarts it; after a crash it starts again; a new name just starts', () => {
  const restart = ['Restarting', 'State changed from up to starting']
  assert.equal(notice.taking('up'), restart)
  assert.equal(notice.taking('draining'), restart)
  assert.equal(notice.taking('crashed'), ['State changed from crashed to starting'])
  for (const state of [undefined, 'starting', 'stopping', 'down']) assert.equal(notice.taking(state), [])
})

test('one that is replaced for its age is told to cycle', () => {
  const cycled = ['Cycling', 'State changed from up to starting']
  assert.equal(notice.taking('up', true), cycled)
  assert.equal(notice.leaving({ type: 'worker', state: 'up', passing: false, cycling: true }, 'free'), cycled)
})

test('a dyno that goes for good goes down, from whatever it was', () => {
  for (const state of ['up', 'starting', 'crashed'])
    assert.equal(notice.leaving({ type: 'web', state, passing: false }, 'ends'), [
      `State changed from ${state} to down`,
    ])
  for (const state of ['draining', 'stopping', 'down'])
    assert.equal(notice.leaving({ type: 'web', state, passing: false }, 'ends'), [])
})

test('a restart is told once: by the successor of a web dyno, by the predecessor of a worker, or of a web dyno that has none yet when it stops', () => {
  const leaving = (type: string, state: string, name: 'taken' | 'free') =>
    notice.leaving({ type, state, passing: false }, name)
  const restart = ['Restarting', 'State changed from up to starting']
  assert.equal(leaving('web', 'up', 'taken'), [])
  assert.equal(leaving('web', 'draining', 'taken'), [])
  assert.equal(leaving('web', 'up', 'free'), [])
  assert.equal(leaving('web', 'draining', 'free'), restart)
  assert.equal(leaving('worker', 'up', 'free'), restart)
  assert.equal(leaving('worker', 'crashed', 'free'), [])
})

test('a one-off dyno and a release command are complete, not down', () => {
  for (const type of ['run', 'release'])
    assert.equal(notice.leaving({ type, state: 'up', passing: true }, 'ends'), ['State changed from up to complete'])
  assert.equal(notice.leaving({ type: 'run', state: 'down', passing: true }, 'ends'), [])
})

test('an end says its status, and nothing more when nobody saw it', () => {
  assert.equal(notice.ended({ ...end, exitCode: 143 }), ['Process exited with status 143'])
  assert.equal(notice.ended({ ...end, exitCode: null }), ['Process exited'])
})

test('R10: a web dyno that did not listen in time', () => {
  const kill = 'Stopping process with SIGKILL'
  assert.equal(notice.bootTimeout(60_000, {}), [
    'Error R10 (Boot timeout) -> Web process failed to bind to $PORT within 60 seconds of launch',
    kill,
  ])
  assert.equal(notice.bootTimeout(90_000, { deaf: 'listens on port 3000, and not on $PORT' }), [
    'Error R10 (Boot timeout) -> Web process failed to bind to $PORT within 90 seconds of launch',
    'Web process listens on port 3000, and not on $PORT',
    kill,
  ])
  assert.equal(notice.bootTimeout(60_000, { trouble: 'GET /, it answered 500' }), [
    'Error R10 (Boot timeout) -> Web process did not pass its health check within 60 seconds of launch: GET /, it answered 500',
    kill,
  ])
})

test('R12: a dyno that did not heed SIGTERM', () => {
  assert.equal(notice.ended({ ...end, exitCode: 137, overdue: true }), [
    'Error R12 (Exit timeout) -> At least one process failed to exit within 30 seconds of SIGTERM',
    'Stopping remaining processes with SIGKILL',
    'Process exited with status 137',
  ])
})

test('R13: a one-off dyno whose client did not come', () => {
  assert.is(notice.ATTACH_ERROR, 'Error R13 (Attach error) -> Failed to attach to process')
})

test('R14: a process was killed for its memory, and its dyno lives on', () => {
  assert.equal(notice.exceeded(512 * 1024 * 1024), [
    'Process running mem=512M(100.0%)',
    'Error R14 (Memory quota exceeded)',
  ])
  assert.equal(notice.exceeded(null), ['Error R14 (Memory quota exceeded)'])
})

test('R15: a dyno that was killed for its memory, at its quota', () => {
  assert.equal(notice.ended({ ...end, exitCode: 137, outOfMemory: true }), [
    'Process running mem=512M(100.0%)',
    'Error R15 (Memory quota vastly exceeded)',
    'Stopping process with SIGKILL',
    'Process exited with status 137',
  ])
  assert.is(notice.ended({ ...end, outOfMemory: true, memory: null }).length, 3)
})

test.run()
