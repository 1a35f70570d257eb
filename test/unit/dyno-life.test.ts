import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { DynoSpec } from '../../daemon/engine/engine.ts'
import { changeConfig } from '../../daemon/release/config.ts'
import { cycleAt } from '../../daemon/run/cycle.ts'
import { type Dyno, dynosOf, nameOf } from '../../daemon/run/dyno.ts'
import { scale } from '../../daemon/run/formation.ts'
import { restart, stop } from '../../daemon/run/restart.ts'
import type { Script } from '../engine/memory.ts'
import { closeAll, open, type Stage } from './reconcile-rig.ts'
import { createStillClock, type StillClock } from './still-clock.ts'

/** What becomes of dynos over hours and days, with a clock that is moved. */
test.after.each(closeAll)

const SECOND = 1000
const MINUTE = 60 * SECOND
const DAY = 24 * 60 * MINUTE
const START = 1_000_000_000_000
const serves: Script = { listens: { after: 0 } }

interface Life extends Stage {
  clock: StillClock
  /** When the engine was told to start which. */
  started: { name: string; at: number }[]
  /** The most that there were at once since this was 0; the engine counts, so that none is missed. */
  most: { dynos: number }
  rows(): Promise<Dyno[]>
  /** The only dyno of this name, once it is in this state. */
  dyno(name: string, state: Dyno['state']): Promise<Dyno>
}

async function live(script: (spec: DynoSpec) => Script, settings = {}): Promise<Life> {
  const clock = createStillClock(START)
  const started: Life['started'] = []
  const most = { dynos: 0 }
  const noting = (spec: DynoSpec) => {
    started.push({ name: spec.name, at: clock.now() })
    most.dynos = Math.max(most.dynos, stage.world.dynos.size + 1)
    return script(spec)
  }
  const stage = await open(noting, undefined, undefined, { clock, settings })
  const rows = () => dynosOf(stage.d.db, stage.app.id)
  return {
    ...{ ...stage, clock, started, most, rows },
    async dyno(name, state) {
      let found: Dyno[] = []
      await stage.until(`${name} to be ${state}`, async () => {
        found = (await rows()).filter((one) => nameOf(one) === name)
        return found.length === 1 && found[0]?.state === state
      })
      return found[0] as Dyno
    },
  }
}

const LIVES = 2 * SECOND

test('a worker that crashes all day is started at once, then ever later, at most every twenty minutes', async () => {
  const { clock, started, dyno, ...stage } = await live(({ type }) =>
    type === 'worker' ? { exits: { after: LIVES, code: 1 } } : serves,
  )
  await stage.deploy({ web: 'serve', worker: 'fail' })
  await scale(stage.d, stage.app, stage.account, [{ type: 'worker', quantity: 1 }])
  const starts = () => started.filter(({ name }) => name === 'worker.1').map(({ at }) => at)
  for (let crashes = 1; clock.now() < START + DAY; crashes++) {
    await dyno('worker.1', 'up')
    clock.pass(LIVES)
    // After the first it is not seen crashed for long.
    if (crashes === 1) await stage.until('the second start', () => starts().length === 2)
    else clock.pass(((await dyno('worker.1', 'crashed')).retry_at ?? 0) - clock.now())
  }
  const pauses = starts()
    .slice(1)
    .map((at, n) => (at - (starts()[n] ?? 0) - LIVES) / SECOND)
  assert.equal(pauses.slice(0, 9), [0, 10, 20, 40, 80, 160, 320, 640, 1200])
  assert.ok(pauses.slice(9).every((pause) => pause === 1200))
  assert.is(starts().length, 79)
})

/** A worker in its third crash, which waits. */
async function crashing() {
  let fails = true
  const life = await live(({ type }) => (type === 'worker' && fails ? { exits: { after: LIVES, code: 1 } } : serves))
  await life.deploy({ web: 'serve', worker: 'fail' })
  await scale(life.d, life.app, life.account, [{ type: 'worker', quantity: 1 }])
  for (let starts = 1; starts <= 3; starts++) {
    await life.until('a start', () => life.started.filter(({ name }) => name === 'worker.1').length === starts)
    await life.dyno('worker.1', 'up')
    life.clock.pass(LIVES)
    if (starts === 2) life.clock.pass(((await life.dyno('worker.1', 'crashed')).retry_at ?? 0) - life.clock.now())
  }
  const crashed = await life.dyno('worker.1', 'crashed')
  assert.equal([crashed.crashes, crashed.retry_at], [3, life.clock.now() + 20 * SECOND])
  const heal = () => {
    fails = false
  }
  return { ...life, crashed, heal }
}

const resets: Record<string, (life: Life) => Promise<unknown>> = {
  'ps:restart': ({ d, app }) => restart(d, app, {}),
  'ps:restart of the dyno': ({ d, app }) => restart(d, app, { dyno: 'worker.1' }),
  'ps:restart of its type': ({ d, app }) => restart(d, app, { type: 'worker' }),
  'ps:stop': ({ d, app }) => stop(d, app, { dyno: 'worker.1' }),
  'a change of config vars': ({ d, app, account }) => changeConfig(d, app, account, { A: '1' }),
  'another size': ({ d, app, account }) => scale(d, app, account, [{ type: 'worker', size: 'Standard-2X' }]),
  async 'scaling to 0 and back'({ d, app, account, until, rows }) {
    await scale(d, app, account, [{ type: 'worker', quantity: 0 }])
    await until('it to be gone', async () => (await rows()).every(({ type }) => type !== 'worker'))
    await scale(d, app, account, [{ type: 'worker', quantity: 1 }])
  },
}
for (const [name, reset] of Object.entries(resets))
  test(`${name} starts a dyno at once that waits after crashes, and counts anew`, async () => {
    const life = await crashing()
    const { clock, dyno, crashed } = life
    const before = clock.now()
    life.heal()
    await reset(life)
    await life.until('another dyno', async () => (await life.rows()).every(({ id }) => id !== crashed.id))
    const up = await dyno('worker.1', 'up')
    assert.equal([up.crashes, clock.now()], [0, before])
  })

test('a dyno that has been up for ten minutes counts anew, one that was not goes on', async () => {
  const life = await crashing()
  life.heal()
  life.clock.pass(20 * SECOND)
  const up = await life.dyno('worker.1', 'up')
  assert.is(up.crashes, 3)
  life.clock.pass(10 * MINUTE)
  life.world.dynos.get(up.id)?.end(1)
  await life.until('another dyno', async () => (await life.rows()).every(({ id }) => id !== up.id))
  assert.is((await life.dyno('worker.1', 'up')).crashes, 1)
})

test('a restart while a release boots lets that go on, and replaces its dynos when it serves', async () => {
  let after = 0
  const life = await live(() => ({ listens: { after } }))
  await life.deploy()
  after = 40 * SECOND
  const deployed = life.deploy()
  await life.until('the release to boot', async () => (await life.rows()).length === 2 && life.world.dynos.size === 2)
  const [old, young] = (await life.rows()).map(({ id }) => id)
  await restart(life.d, life.app, {})
  await life.until('the serving one to be replaced', () => life.world.dynos.size === 3)
  for (let n = 0; n < 3; n++) await life.look()
  assert.equal([life.serving(), life.world.dynos.get(young ?? '')?.placed.running], [[old], true])
  after = 0
  life.clock.pass(40 * SECOND)
  assert.ok((await deployed).succeeded)
  await life.until('one dyno that is neither', async () => {
    const [only, ...others] = await life.rows()
    return others.length === 0 && only?.state === 'up' && only.id !== old && only.id !== young
  })
})

test('a restart during a restart leaves one dyno in each place, and never one less', async () => {
  const life = await live(() => serves)
  await life.deploy()
  await scale(life.d, life.app, life.account, [{ type: 'web', quantity: 3 }])
  await life.until('three dynos', () => life.serving().length === 3)
  let fewest = 3
  const watch = setInterval(() => {
    fewest = Math.min(fewest, life.serving().length)
  }, 1)
  const before = new Set((await life.rows()).map(({ id }) => id))
  for (const which of [{}, { type: 'web' }, { dyno: 'web.2' }]) await restart(life.d, life.app, which)
  await life.until('three others', async () => {
    const rows = await life.rows()
    return rows.length === 3 && rows.every(({ id, state }) => state === 'up' && !before.has(id))
  })
  clearInterval(watch)
  assert.is(fewest, 3)
})

test('a dyno is replaced a day and up to 216 minutes after it was made, for ever the same', () => {
  const at = (id: string) => cycleAt({ id, created_at: START }) - START
  assert.is(at('00000000-0000-4000-8000-000000000000'), DAY)
  assert.is(at('80000000-0000-4000-8000-000000000000'), DAY + 108 * MINUTE)
  assert.ok(at('ffffffff-0000-4000-8000-000000000000') < DAY + 216 * MINUTE)
})

test('with SLUICE_CYCLE dynos are replaced once a day, one after the other, each web dyno by one that is up', async () => {
  const life = await live(() => serves, { SLUICE_CYCLE: 'on' })
  await life.deploy({ web: 'serve', worker: 'work' })
  const quantities = [
    { type: 'web', quantity: 3 },
    { type: 'worker', quantity: 1 },
  ]
  await scale(life.d, life.app, life.account, quantities)
  const allUp = async () => {
    const rows = await life.rows()
    return rows.length === 4 && rows.every(({ state, replace }) => state === 'up' && replace === 0)
  }
  await life.until('all to be up', allUp)
  const before = await life.rows()
  life.clock.pass(DAY - 1)
  await life.look()
  assert.equal(await life.rows(), before)
  let fewest = 3
  life.most.dynos = 0
  const watch = setInterval(() => {
    fewest = Math.min(fewest, life.serving().length)
  }, 1)
  // As after a daemon that was away: all are due.
  life.clock.pass(216 * MINUTE)
  const old = new Set(before.map(({ id }) => id))
  await life.until(
    'all to be replaced',
    async () => (await allUp()) && (await life.rows()).every(({ id }) => !old.has(id)),
  )
  clearInterval(watch)
  assert.equal([fewest, life.most.dynos], [3, 5])
  const after = await life.rows()
  life.clock.pass(DAY - 1)
  await life.look()
  assert.equal(await life.rows(), after)
})

test('without it nothing is replaced for its age', async () => {
  const life = await live(() => serves)
  await life.deploy()
  const before = await life.rows()
  life.clock.pass(3 * DAY)
  await life.look()
  assert.equal(await life.rows(), before)
})

test('an app’s SLUICE_BOOT_SECONDS is how long its web dynos may boot; the push says where they listen instead', async () => {
  const listens = { after: 0, port: 3000 }
  const life = await live(({ env }) => (env.includes('SLUICE_BOOT_SECONDS=90') ? { listens } : serves))
  await life.deploy()
  await changeConfig(life.d, life.app, life.account, { SLUICE_BOOT_SECONDS: '90' })
  await life.until('the release to boot', () => life.world.dynos.size === 2)
  await life.look()
  life.clock.pass(90 * SECOND - 1)
  await life.look()
  const [, booting] = await life.rows()
  assert.equal([booting?.state, booting?.boot_time], ['starting', 90_000])
  life.clock.pass(1)
  const reason = () =>
    life.d.db.selectFrom('rollouts').select('reason').where('state', '=', 'failed').executeTakeFirst()
  await life.until('the release to fail', async () => (await reason()) !== undefined)
  const words =
    /did not accept connections on \$PORT within 90 seconds \(R10\)\. It listens on port 3000, and not on \$PORT\./
  assert.match((await reason())?.reason ?? '', words)
})

test.run()
