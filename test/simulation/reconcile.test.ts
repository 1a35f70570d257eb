import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Daemon } from '../../daemon/daemon.ts'
import { countIds } from './chance.ts'
import { historyOf } from './draw.ts'
import { type Event, type History, story } from './history.ts'
import { type Beginning, begin, end, RealWorld } from './real.ts'
import { shrink } from './shrink.ts'
import { Broken } from './witness.ts'

/** As plan.test.ts, with the real reconcile: a hundredth of the histories, which take a hundred times as long. */
const count = Math.ceil(Number(process.env.SLUICE_SIMULATION ?? 10_000) / 100)
const first = Number(process.env.SLUICE_SIMULATION_SEED ?? 1)
/** Events of a history. */
const MOST = 12
/** Histories that are played to find a smaller one. */
const TRIES = 150

let beginning: Beginning
test.before(async () => {
  beginning = await begin()
})
test.after(() => end(beginning))

async function play(
  history: History,
  spoil?: (d: Daemon) => void,
): Promise<{ world: RealWorld; broken: Broken | null }> {
  const restore = countIds()
  const world = new RealWorld(history, beginning, spoil)
  try {
    await world.play(history)
    return { world, broken: null }
  } catch (broken) {
    if (broken instanceof Broken) return { world, broken }
    throw broken
  } finally {
    restore()
  }
}

async function search(
  seeds: { first: number; count: number },
  spoil?: (d: Daemon) => void,
): Promise<{ seed: number; rule: string } | null> {
  for (let seed = seeds.first; seed < seeds.first + seeds.count; seed++) {
    const { broken } = await play(historyOf(seed, MOST), spoil)
    if (broken) return { seed, rule: broken.rule }
  }
  return null
}

test('no history breaks a rule with the real rows and passes, and each comes to rest with what is wanted', async () => {
  const found = await search({ first, count })
  if (!found) return
  const fails = async (history: History) => (await play(history)).broken?.rule === found.rule
  const history = await shrink(historyOf(found.seed, MOST), fails, TRIES)
  const { world, broken } = await play(history)
  throw new Error(
    `seed ${found.seed}: ${broken?.message}\n\n${story(history)}\n\n${world.log()}\n\n${JSON.stringify(history)}`,
  )
})

test('a release that was booting when the daemon died has its time to boot from when a router is there again', async () => {
  const code = { web: true, worker: false, command: 'none', boot: 'well' } as const
  const events: Event[] = [
    { after: 0, what: 'push', code, attended: false },
    { after: 3000, what: 'push', code: { ...code, boot: 'deaf' }, attended: false },
    { after: 2000, what: 'kill', steps: 0, ms: 3000 },
    { after: 10_000, what: 'wait' },
  ]
  const { broken, world } = await play({ routers: 1, serial: false, events })
  if (broken) throw new Error(`${broken.message}\n${world.log()}`)
})

test('an engine that does not let go of a start for which a client waits is asked again, and holds nobody else up', async () => {
  const code = { web: true, worker: false, command: 'none', boot: 'well' } as const
  const { broken, world } = await play({
    ...{ routers: 1, serial: false },
    events: [
      { after: 0, what: 'push', code, attended: false },
      { after: 0, what: 'end', fate: 'refused', ms: 0 },
      { after: 0, what: 'run', client: true, lasts: 0, limit: 0 },
    ],
  })
  if (broken) throw new Error(`${broken.message}\n${world.log()}`)
})

test('a cutover waits for a router that is gone for a moment, when the daemon is killed meanwhile too', async () => {
  const code = { web: true, worker: false, command: 'none', boot: 'well' } as const
  const push: Event = { after: 0, what: 'push', code, attended: false }
  const cut: Event = { after: 3000, what: 'cut', router: 0, ms: 10_000 }
  for (const events of [
    [push, cut, push],
    [push, cut, push, { after: 1400, what: 'kill', steps: 0, ms: 100 }] satisfies Event[],
  ]) {
    const { broken, world } = await play({ routers: 2, serial: false, events })
    if (broken) throw new Error(`${broken.message}\n${world.log()}`)
  }
})

test('a history is played in the same way each time', async () => {
  for (const seed of [3, 7, 11]) {
    const history = historyOf(seed, MOST)
    const once = (await play(history)).world.log()
    assert.is((await play(history)).world.log(), once)
  }
})

const spoilt: [does: string, rule: string, spoil: (d: Daemon) => void][] = [
  [
    'does not wait for its routers',
    'every router first',
    (d) => {
      d.routers = Object.create(d.routers, { acknowledged: { value: () => true } })
    },
  ],
  [
    'does not wait for requests that are under way',
    'nobody is sent to an end',
    (d) => {
      d.routers = Object.create(d.routers, { drained: { value: () => true } })
    },
  ],
]

for (const [does, rule, spoil] of spoilt)
  test(`a daemon that ${does} is found out`, async () => {
    assert.is((await search({ first: 1, count: 30 }, spoil))?.rule, rule)
  })

test.run()
