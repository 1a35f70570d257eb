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

test('a dyno that goes for good goes down, from whatever it was', () => {
  for (const state of ['up', 'starting', 'crashed'])
    assert.equal(notice.leaving({ type: 'web', state, passing: false }, false), [`State changed from ${state} to down`])
  for (const state of ['draining', 'stopping', 'down'])
    assert.equal(notice.leaving({ type: 'web', state, passing: false }, false), [])
})

test('a restart is told once: by the successor of a web dyno, by the predecessor of a worker', () => {
  assert.equal(notice.leaving({ type: 'web', state: 'up', passing: false }, true), [])
  assert.equal(notice.leaving({ type: 'worker', state: 'up', passing: false }, true), [
    'Restarting',
    'State changed from up to starting',
  ])
  assert.equal(notice.leaving({ type: 'worker', state: 'crashed', passing: false }, true), [])
})

test('a one-off dyno and a release command are complete, not down', () => {
  for (const type of ['run', 'release'])
    assert.equal(notice.leaving({ type, state: 'up', passing: true }, false), ['State changed from up to complete'])
  assert.equal(notice.leaving({ type: 'run', state: 'down', passing: true }, false), [])
})

test('an end says its status, and nothing more when nobody saw it', () => {
  assert.equal(notice.ended({ ...end, exitCode: 143 }), ['Process exited with status 143'])
  assert.equal(notice.ended({ ...end, exitCode: null }), ['Process exited'])
})

test('R10: a web dyno that did not listen in time', () => {
  assert.equal(notice.BOOT_TIMEOUT, [
    'Error R10 (Boot timeout) -> Web process failed to bind to $PORT within 60 seconds of launch',
    'Stopping process with SIGKILL',
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
