import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Judged, nextReplacement } from '../../daemon/run/liveness.ts'
import { restart } from '../../daemon/run/restart.ts'
import { closeAll, open, well } from './reconcile-rig.ts'

/** Which dynos are replaced because their liveness check fails. */

test.after.each(closeAll)

const dyno = (id: string, more: Partial<Judged> = {}): Judged => ({
  ...{ id, state: 'up', replace: false, crashes: 0, since: 0, dead: null },
  ...more,
})
const since = (since: number, spread = 0) => ({ dead: { since, spread } })
const next = (dynos: Judged[], panic = false) => nextReplacement(dynos, panic)

test('a dyno that is dead is replaced at once, the first of two first', () => {
  assert.is(next([dyno('a'), dyno('b')]), null)
  const dead = [dyno('a', since(9000)), dyno('b', since(8000)), dyno('c'), dyno('d')]
  assert.equal(next(dead), { dyno: 'b', at: 8000, crashes: 1 })
})

test('not before others had the time to be found failing for the same cause', () => {
  assert.is(next([dyno('a', since(9000, 15_000)), dyno('b')])?.at, 24_000)
  assert.is(next([dyno('a', { crashes: 3, ...since(9000, 15_000) })])?.at, 9000 + 40_000)
})

test('one at a time: nobody while another is being replaced or starts', () => {
  const dead = dyno('a', since(9000))
  assert.is(next([dead, dyno('b', { replace: true })]), null)
  assert.is(next([dead, dyno('b', { state: 'starting' })]), null)
  assert.is(next([{ ...dead, replace: true }, dyno('b', { state: 'crashed', replace: true })]), null)
  assert.is(next([dead, dyno('b', { state: 'crashed' })])?.dyno, 'a')
})

test('nobody in a panic, but for an only dyno, which serves until its successor passes', () => {
  const dead = dyno('a', since(9000))
  assert.is(next([dead, dyno('b', since(9000))], true), null)
  assert.is(next([dead], true)?.dyno, 'a')
})

test('a check that is never passed for long replaces a dyno ever more rarely, until one has been well for ten minutes', () => {
  const pauses: number[] = []
  let crashes = 0
  for (let n = 0; n < 8; n++) {
    const found = next([dyno('a', { crashes, since: 0, ...since(30_000) })])
    pauses.push(((found?.at ?? 0) - 30_000) / 1000)
    crashes = found?.crashes ?? 0
  }
  assert.equal(pauses, [0, 10, 20, 40, 80, 160, 320, 640])
  assert.equal(next([dyno('a', { crashes, since: 0, ...since(600_000) })]), { dyno: 'a', at: 600_000, crashes: 1 })
})

test('a dead dyno serves on until its successor is up, which counts on; a restart that somebody wished does not', async () => {
  const stage = await open(() => well)
  await stage.deploy()
  const [before] = stage.serving()
  const rows = () => stage.d.db.selectFrom('dynos').selectAll().orderBy('created_at').execute()
  stage.dead.set(before ?? '', Date.now())
  await stage.until('a successor', () => {
    assert.ok(stage.serving().length > 0, 'somebody serves')
    return stage.serving().length === 1 && stage.serving()[0] !== before
  })
  await stage.until('the end of the dead one', async () => (await rows()).length === 1)
  assert.is((await rows())[0]?.crashes, 1)
  const [second] = await rows()
  const died = Date.now()
  stage.dead.set(second?.id ?? '', died)
  const again = (await stage.look()) ?? 0
  assert.ok(again - died > 5000, 'the second one waits')
  assert.is((await rows())[0]?.replace, 0)
  stage.dead.clear()
  await restart(stage.d, stage.app, {})
  await stage.until('the end of the second one', async () => {
    const [one, ...others] = await rows()
    return others.length === 0 && one?.id !== second?.id
  })
  assert.is((await rows())[0]?.crashes, 0)
})

test.run()
