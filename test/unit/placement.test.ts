import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock } from '../../daemon/clock.ts'
import { EngineError, type Placed } from '../../daemon/engine/engine.ts'
import { createLog } from '../../daemon/log.ts'
import { createBoots } from '../../daemon/run/boot.ts'
import { createPlacements } from '../../daemon/run/placement.ts'
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
