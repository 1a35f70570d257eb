import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock } from '../../daemon/clock.ts'
import { EngineError } from '../../daemon/engine/engine.ts'
import { declareContract } from '../engine/contract.ts'
import { attachParts, execParts } from '../engine/contract-attach.ts'
import { imageParts } from '../engine/contract-images.ts'
import { createFaultyEngine } from '../engine/faulty.ts'
import { crash, createMemoryEngine, createWorld, listening, type Script } from '../engine/memory.ts'
import { appOf, type Rig } from '../engine/rig.ts'

const ready = [{ text: 'ready\n' }]
const lines = (count: number) => Array.from({ length: count }, (_, index) => ({ text: `line ${index + 1}\n` }))
const PIECE = 32 * 1024
const scripts = new Map<string, Script>()
const script = (name: string, does: Script): string => {
  scripts.set(name, does)
  return name
}
const scriptOf = (image: string, command: string): Script =>
  image === 'stack' || image === world.store.images.get(image)?.id
    ? (scripts.get(command) ?? {})
    : { refused: `There is no image ${image}.` }

const OWN = 'the command of the image'
script(OWN, { prints: [{ text: `${OWN}\n` }], exits: { after: 5, code: 0 } })

const word = (text: string, talks: NonNullable<Script['talks']>, more: Script = {}): string =>
  script(text, { ...more, talks })
const INTERRUPT = 3
const never = new Promise<number>(() => {})
const talkative = {
  echoes: word('echoes', async ({ input, print }) => {
    await print('ready\n')
    for await (const data of input) await print(data)
    await print('end of input\n')
    return 0
  }),
  shows: word('shows', async (talk) => {
    const show = () => {
      const { terminal } = talk
      void talk.print(terminal.kind === 'tty' ? `size ${terminal.rows} ${terminal.columns}\n` : '')
    }
    await talk.print(talk.terminal.kind === 'tty' ? 'yes\n' : 'no\n')
    talk.resized = show
    show()
    return never
  }),
  heedsInterrupt: word('heeds', async ({ input, print }) => {
    await print('ready\n')
    for await (const data of input) if (data.includes(INTERRUPT)) break
    await print('interrupted\n')
    return 7
  }),
  ignoresAll: script('ignores all', { prints: ready, ignoresTerm: true, ignoresHangup: true }),
  floods: (size: number) =>
    word(`floods ${size}`, async ({ print }) => {
      for (let left = size; left > 0; left -= PIECE) await print(Buffer.alloc(Math.min(PIECE, left)))
      return 0
    }),
}

const world = createWorld(
  systemClock,
  ({ image, code }) => scriptOf(image, code.command ?? OWN),
  ({ image, command }) => scriptOf(image, String(command)),
  ({ command }) => scripts.get(command) ?? {},
  (dockerfile, { args }) =>
    ({
      good: { prints: `built for ${args.FOR}\n`, config: { cmd: ['echo', OWN] } },
      fails: { prints: 'before\n', fails: 'The command returned a non-zero code: 3' },
      stays: { prints: 'ready\n', stays: true },
    })[dockerfile] ?? {},
)
const rig: Rig = {
  engine: () => createMemoryEngine(world),
  image: 'stack',
  slug: '/slug',
  network: { name: 'net', subnet: '10.255.0.0/26' },
  commands: {
    stays: script('stays', { prints: ready }),
    ignoresTerm: script('ignores', { prints: ready, ignoresTerm: true }),
    starves: script('starves', { prints: ready, starves: { after: 5 } }),
    starvesToDeath: script('starves to death', { exits: { after: 5, code: 7, outOfMemory: true } }),
    exits: (code) => script(`exits ${code}`, { exits: { after: 5, code } }),
    prints: (count) =>
      script(`prints ${count}`, {
        prints: [...lines(count), { stream: 'stderr', text: 'the end\n' }],
        exits: { after: 5, code: 0 },
      }),
    ...talkative,
    buildPrints: (count, code) => [
      script(`builds ${count} ${code}`, { prints: lines(count), exits: { after: 5, code } }),
    ],
    buildStays: [script('build stays', { prints: ready })],
  },
  dockerfiles: { good: 'good', fails: 'fails', stays: 'stays' },
  leftovers: async () => [
    ...[...world.dynos.keys(), ...world.builds.keys(), ...world.networks.keys()],
    ...[...world.store.names.keys(), ...world.store.images.keys()],
  ],
}
declareContract(test, rig)
declareContract(test, rig, [...attachParts, ...execParts, imageParts])

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
