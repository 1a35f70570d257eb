import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Engine, EngineEvent } from '../../daemon/engine/engine.ts'
import { createLog } from '../../daemon/log.ts'
import { createBoots } from '../../daemon/run/boot.ts'
import { createPlacements } from '../../daemon/run/placement.ts'
import { crash, createMemoryEngine, createWorld } from '../engine/memory.ts'
import { appOf } from '../engine/rig.ts'
import { createStillClock } from './still-clock.ts'

/** What the engine does not tell is found by the next list: events are for speed, lists for truth. */

const { spec } = appOf({ image: 'stack', slug: '', network: { name: 'n', subnet: '10.0.0.0/26' } } as never)
const LIST_AGAIN = 30_000
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** An engine that tells of nothing that happens. */
async function open() {
  const clock = createStillClock(1_000_000)
  const world = createWorld(clock, () => ({}))
  const engine = createMemoryEngine(world)
  let lists = 0
  const deaf: Engine = {
    ...engine,
    watch: (signal) => silence(signal),
    list() {
      lists++
      return engine.list()
    },
  }
  const changed: string[] = []
  const placements = createPlacements(
    { engine: deaf, clock, log: createLog(() => {}), boots: createBoots(clock, 2) },
    {
      ...{ known() {}, seen() {}, exited() {}, exceeded() {} },
      changed: (app) => changed.push(app),
      wanted: async (ids) => new Set(ids),
    },
  )
  const stopping = new AbortController()
  const watching = placements.run(stopping.signal)
  await settle()
  return {
    ...{ world, placements, changed, lists: () => lists },
    /** Starts one, and waits until it runs. */
    async run() {
      const dyno = spec('web')
      placements.launch({ id: dyno.id, app: dyno.app.id, web: true, asked: 'by nobody' }, async () => dyno)
      await placements.answered()
      changed.length = 0
      return dyno
    },
    async pass(ms: number) {
      clock.pass(ms)
      await settle()
      await settle()
    },
    async close() {
      stopping.abort()
      await watching
    },
  }
}

async function* silence(signal: AbortSignal): AsyncGenerator<EngineEvent> {
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
}

test('an end that no event told is found by the next list, within half a minute, and its app is looked at', async () => {
  const it = await open()
  const dyno = await it.run()
  crash(it.world, dyno.id, 3)
  await it.pass(LIST_AGAIN - 1)
  assert.is(it.placements.state(dyno.id), 'running')
  await it.pass(1)
  assert.is(it.placements.state(dyno.id), 'exited')
  assert.is(it.placements.of(dyno.id)?.exitCode, 3)
  assert.equal(it.changed, [dyno.app.id])
  await it.close()
})

test('a container that is gone without a word is found missing by the next list', async () => {
  const it = await open()
  const dyno = await it.run()
  it.world.dynos.delete(dyno.id)
  await it.pass(LIST_AGAIN)
  assert.is(it.placements.state(dyno.id), 'none')
  assert.equal(it.changed, [dyno.app.id])
  await it.close()
})

test('while nothing happens the engine is listed twice a minute, and no app is looked at', async () => {
  const it = await open()
  await it.run()
  const before = it.lists()
  for (let second = 0; second < 60; second++) await it.pass(1000)
  assert.is(it.lists() - before, 2)
  assert.equal(it.changed, [])
  await it.close()
})

test.run()
