import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock } from '../../daemon/clock.ts'
import { EngineError } from '../../daemon/engine/engine.ts'
import { declareContract } from '../engine/contract.ts'
import { createFaultyEngine } from '../engine/faulty.ts'
import { crash, createMemoryEngine, createWorld, listening, type Script } from '../engine/memory.ts'
import { appOf, type Rig } from '../engine/rig.ts'

const ready = [{ text: 'ready\n' }]
const lines = (count: number) => Array.from({ length: count }, (_, index) => ({ text: `line ${index + 1}\n` }))
const scripts = new Map<string, Script>()
const script = (name: string, does: Script): string => {
  scripts.set(name, does)
  return name
}
const scriptOf = ({ image, command }: { image: string; command: string | string[] }): Script =>
  image === 'stack' ? (scripts.get(String(command)) ?? {}) : { refused: `There is no image ${image}.` }

const world = createWorld(systemClock, scriptOf, scriptOf)
const rig: Rig = {
  engine: () => createMemoryEngine(world),
  image: 'stack',
  slug: '/slug',
  network: { name: 'net', subnet: '10.255.0.0/26' },
  commands: {
    stays: script('stays', { prints: ready }),
    ignoresTerm: script('ignores', { prints: ready, ignoresTerm: true }),
    exits: (code) => script(`exits ${code}`, { exits: { after: 5, code } }),
    prints: (count) =>
      script(`prints ${count}`, {
        prints: [...lines(count), { stream: 'stderr', text: 'the end\n' }],
        exits: { after: 5, code: 0 },
      }),
    buildPrints: (count, code) => [
      script(`builds ${count} ${code}`, { prints: lines(count), exits: { after: 5, code } }),
    ],
    buildStays: [script('build stays', { prints: ready })],
  },
  leftovers: async () => [...world.dynos.keys(), ...world.builds.keys(), ...world.networks.keys()],
}
declareContract(test, rig)

test('a scripted dyno listens when its time has come and not after it crashed', async () => {
  let now = 1000
  const machine = createWorld({ now: () => now, at: () => () => {} }, () => ({ listens: { after: 500 } }))
  const engine = createMemoryEngine(machine)
  const { id } = await engine.start(appOf(rig).spec('boots'))
  assert.is(listening(machine, id), false)
  now += 500
  assert.is(listening(machine, id), true)
  crash(machine, id, 1)
  assert.is(listening(machine, id), false)
  assert.is((await engine.list())[0]?.exitCode, 1)
})

test('a faulty engine fails as often as it should, the same for the same seed, until it is healed', async () => {
  const outcomes = async (seed: number) => {
    const engine = createFaultyEngine(createMemoryEngine(createWorld(systemClock, () => ({}))), {
      seed,
      probability: 0.5,
    })
    const { spec } = appOf(rig)
    const tries = await Promise.allSettled(Array.from({ length: 200 }, () => engine.start(spec('stays'))))
    const failed = tries.filter(({ status }) => status === 'rejected').length
    assert.is(engine.struck.create, failed)
    assert.ok(failed > 70 && failed < 130, `${failed} of 200 failed`)
    assert.ok(tries.every((one) => one.status === 'fulfilled' || one.reason instanceof EngineError))
    engine.heal()
    await engine.start(spec('stays'))
    return tries.map(({ status }) => status)
  }
  assert.equal(await outcomes(7), await outcomes(7))
  assert.not.equal(await outcomes(7), await outcomes(8))
})

test('a faulty engine may lose the answer of a start that was done', async () => {
  const inner = createMemoryEngine(createWorld(systemClock, () => ({})))
  const engine = createFaultyEngine(inner, { seed: 1, probability: 1, faults: ['start'] })
  const failed = await engine.start(appOf(rig).spec('stays')).catch((error: unknown) => error)
  assert.instance(failed, EngineError)
  assert.is((await inner.list()).length, 1)
})

test.run()
