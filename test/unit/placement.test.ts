import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock } from '../../daemon/clock.ts'
import { EngineError, EngineGone, type Placed } from '../../daemon/engine/engine.ts'
import { createLog } from '../../daemon/log.ts'
import { createBoots } from '../../daemon/run/boot.ts'
import { type ContainerState, createPlacements } from '../../daemon/run/placement.ts'
import { createMemoryEngine, createWorld } from '../engine/memory.ts'
import { appOf } from '../engine/rig.ts'
import { createStillClock } from './still-clock.ts'

const { spec } = appOf({ image: 'stack', slug: '', network: { name: 'n', subnet: '10.0.0.0/26' } } as never)
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Placements over an engine whose starts end when they are let. */
function open(known = () => {}) {
  const answers: { come(): void; fail(): void }[] = []
  const engine = createMemoryEngine(createWorld(systemClock, () => ({})))
  const slow: typeof engine = {
    ...engine,
    start: (wanted) =>
      new Promise<Placed>((resolve, reject) => {
        answers.push({
          come: () => resolve(engine.start(wanted)),
          fail: () => reject(new EngineError('no room')),
        })
      }),
  }
  const listeners = {
    known,
    changed() {},
    seen() {},
    exited() {},
    exceeded() {},
    wanted: async (ids: string[]) => new Set(ids),
  }
  const boots = createBoots(createStillClock(), 2)
  const placements = createPlacements({ engine: slow, clock: systemClock, log: createLog(() => {}), boots }, listeners)
  return { placements, answers }
}

test('who stops can wait until the engine has answered every start, whatever it answers', async () => {
  const { placements, answers } = open()
  await placements.answered()
  const [one, other] = [spec('a'), spec('b')]
  for (const wanted of [one, other])
    placements.launch({ id: wanted.id, app: wanted.app.id, web: true, asked: 'by a person' }, async () => wanted)
  await settle()
  let answered = false
  const waiting = placements.answered().then(() => {
    answered = true
  })
  answers[0]?.come()
  await settle()
  assert.is(placements.state(one.id), 'running')
  assert.not(answered)
  answers[1]?.fail()
  await waiting
  assert.is(placements.state(other.id), 'failed')
})

/** Launches one dyno whose first starts an engine that is gone does not answer; looks at it whenever its app is to be looked at. */
async function launched({ gone, done = false, once = false }: { gone: number; done?: boolean; once?: boolean }) {
  const clock = createStillClock(1_000_000)
  const engine = createMemoryEngine(createWorld(clock, () => ({})))
  const wanted = spec('web')
  let starts = 0
  const start: typeof engine.start = async (spec) => {
    const silent = ++starts <= gone
    if (!silent || done) await engine.start(spec)
    if (silent) throw new EngineGone('it does not answer')
    return engine.start(spec)
  }
  const seen: ContainerState[] = []
  const launch = () =>
    placements.launch({ id: wanted.id, app: wanted.app.id, web: true, asked: 'by a person', once }, async () => wanted)
  const placements = createPlacements(
    { engine: { ...engine, start }, clock, log: createLog(() => {}), boots: createBoots(clock, 1) },
    {
      ...{ known() {}, seen() {}, exited() {}, exceeded() {}, wanted: async (ids: string[]) => new Set(ids) },
      changed() {
        seen.push(placements.state(wanted.id))
        if (seen.at(-1) === 'none') launch()
      },
    },
  )
  launch()
  await placements.answered()
  const first = placements.state(wanted.id)
  for (let n = 0; n < gone; n++) {
    clock.pass(1000)
    for (let turn = 0; turn < 5; turn++) await settle()
    await placements.answered()
  }
  return { first, seen, starts, failure: placements.failure(wanted.id) }
}

test('a dyno whose launch an engine that is gone does not answer is launched anew when it is back, with nothing said of the dyno', async () => {
  const relaunched = { first: 'pending', seen: ['none', 'running'], starts: 2, failure: undefined }
  assert.equal(await launched({ gone: 1 }), relaunched)
  assert.equal(await launched({ gone: 1, done: true }), relaunched)
})

test('what must not run twice is not, and an engine that is only ever silent about a dyno has failed it', async () => {
  const failure = 'it does not answer'
  assert.equal(await launched({ gone: 1, once: true }), { first: 'failed', seen: ['failed'], starts: 1, failure })
  const { seen, ...rest } = await launched({ gone: 9 })
  assert.equal(rest, { first: 'pending', starts: 6, failure })
  assert.equal(seen, [...Array.from({ length: 5 }, () => 'none'), 'failed'])
})

test('when those who wait for the first list could not be told, the next list tells them', async () => {
  let asked = 0
  const stop = new AbortController()
  const told = new Promise<void>((resolve) => {
    const { placements } = open(() => {
      if (asked++ === 0) throw new Error('the rows cannot be read')
      assert.ok(placements.known)
      resolve()
    })
    void placements.run(stop.signal)
  })
  await told
  stop.abort()
  assert.is(asked, 2)
})

test.run()
