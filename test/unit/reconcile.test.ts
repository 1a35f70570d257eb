import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { accountNamed, ensureAdmin } from '../../daemon/account/account.ts'
import { createAttempts } from '../../daemon/account/attempt.ts'
import { createBrowserLogins } from '../../daemon/account/browser-login.ts'
import { createApp, forgetApp } from '../../daemon/app/app.ts'
import { systemClock } from '../../daemon/clock.ts'
import { readConfig } from '../../daemon/config.ts'
import type { Daemon } from '../../daemon/daemon.ts'
import type { DynoSpec, Engine } from '../../daemon/engine/engine.ts'
import { createLog } from '../../daemon/log.ts'
import { createCollector } from '../../daemon/logs/collect.ts'
import { createDeliveries } from '../../daemon/logs/drain/deliveries.ts'
import { createLogs } from '../../daemon/logs/logs.ts'
import { createTranscripts } from '../../daemon/logs/transcript.ts'
import { createUnderway } from '../../daemon/pipeline/underway.ts'
import { changeConfig } from '../../daemon/release/config.ts'
import { outcome } from '../../daemon/release/outcome.ts'
import { createRelease, listReleases } from '../../daemon/release/release.ts'
import { allRoutes } from '../../daemon/route/routes.ts'
import { listDynos } from '../../daemon/run/dyno.ts'
import { createExec } from '../../daemon/run/exec.ts'
import { scale } from '../../daemon/run/formation.ts'
import { createPlacements } from '../../daemon/run/placement.ts'
import { createPass } from '../../daemon/run/reconcile.ts'
import { createRendezvous } from '../../daemon/run/rendezvous.ts'
import { restart } from '../../daemon/run/restart.ts'
import { createSettlements } from '../../daemon/run/rollout.ts'
import { createRunner } from '../../daemon/runner.ts'
import { decide, openDatabase } from '../../daemon/store/database.ts'
import { createSeal } from '../../daemon/store/seal.ts'
import { createFaultyEngine, type FaultyEngine } from '../engine/faulty.ts'
import { createMemoryEngine, createWorld, listening, type Script, type World } from '../engine/memory.ts'

/** The whole of run/ and release/ over a real database, with an engine in memory and routers that follow at once. */
interface Stage {
  d: Daemon
  world: World
  app: Awaited<ReturnType<typeof createApp>>
  account: { id: string; email: string }
  deploy(types?: Record<string, string>): Promise<{ succeeded: boolean; reason: string | null; version: number }>
  /** Dynos that get requests now. */
  serving(): string[]
  /** Polls until it holds. */
  until(what: string, holds: () => boolean | Promise<boolean>): Promise<void>
  close(): Promise<void>
}

const signal = new AbortController().signal
setMaxListeners(0, signal)

const opened: Stage[] = []
test.after.each(async () => {
  for (const stage of opened.splice(0)) await stage.close()
})

async function open(
  script: (spec: DynoSpec) => Script,
  wrap: (engine: Engine) => Engine = (engine) => engine,
): Promise<Stage> {
  const data = await mkdtemp(join(tmpdir(), 'sluice-reconcile-'))
  const config = readConfig({ SLUICE_DATA: data, SLUICE_ADMIN_TOKEN: 'token', SLUICE_ADMIN_EMAIL: 'admin@example.com' })
  const log = createLog(() => {})
  const clock = systemClock
  const db = await openDatabase(join(data, 'sluice.db'))
  const world = createWorld(clock, script)
  const engine = wrap(createMemoryEngine(world))
  const logs = createLogs(config, log)
  const collector = createCollector(engine, logs, log)
  let backends: { id: string; mode: string }[] = []
  const routers = {
    accept() {},
    publish: async () => {
      backends = (await allRoutes(db, 'localhost')).flatMap((route) => route.backends)
    },
    acknowledged: () => true,
    healthy: (id: string) => backends.some((one) => one.id === id && one.mode === 'probe') && listening(world, id),
    drained: () => true,
    connected: 1,
    connectedSince: 0,
    close() {},
  }
  const runner = createRunner((app, signal) => pass(app, signal), clock, log)
  const placements = createPlacements(
    { engine, clock, log },
    {
      known() {},
      changed: (app) => runner.poke(app),
      seen: (placed) =>
        collector.follow({ id: placed.id, app: placed.app, name: placed.name, since: placed.startedAt }),
      exited() {},
      wanted: async (ids) => {
        const rows = await db.selectFrom('dynos').select('id').where('id', 'in', ids).execute()
        return new Set(rows.map(({ id }) => id))
      },
    },
  )
  const parts = { config, clock, log, db, engine, runner, logs, collector, routers }
  const stack = () => ({ run: 'run', build: 'build', origin: 'debian' as const })
  const seal = createSeal(Buffer.alloc(32, 1))
  const d: Daemon = {
    ...parts,
    exec: createExec(engine),
    seal,
    stack,
    drains: createDeliveries({ config, log, logs, clock }),
    transcripts: createTranscripts(config, log),
    settlements: createSettlements(),
    underway: createUnderway(log),
    webhooks: { wake() {}, refuses: async () => false, stop: async () => {} },
    rendezvous: createRendezvous(clock),
    attempts: createAttempts(clock),
    browserLogins: createBrowserLogins(clock),
    tunnel: { listen: async () => {}, admit: () => ({ host: '', user: '', hostKey: '' }), close() {} },
  }
  const pass = createPass(d, placements, async (app) => void (await forgetApp(db, app.id)))
  const stopping = new AbortController()
  const watching = placements.run(stopping.signal)
  await ensureAdmin(d)
  const account = await accountNamed(db, 'admin@example.com')
  if (!account) throw new Error('there is no administrator')
  const app = await createApp(d, account, { name: 'demo' })
  const beat = setInterval(() => runner.poke(app.id), 10)

  const stage: Stage = {
    d,
    world,
    app,
    account,
    serving: () => backends.filter(({ id, mode }) => mode === 'serve' && listening(world, id)).map(({ id }) => id),
    async deploy(types = { web: 'serve' }) {
      const slug = randomUUID()
      const release = await decide(db, async (tx) => {
        const row = { id: slug, app_id: app.id, key: slug, commit: null, checksum: 'SHA256:0', size: 1 }
        const rest = {
          process_types: JSON.stringify(types),
          buildpack_description: 'x',
          stack: 'heroku-24',
          created_at: 0,
        }
        await tx
          .insertInto('slugs')
          .values({ ...row, ...rest })
          .execute()
        return createRelease(d, tx, { app: app.id, account, description: 'Deploy', slugId: slug })
      })
      return { ...(await outcome(d, release.id, signal)), version: release.version }
    },
    async until(what, holds) {
      const deadline = Date.now() + 10_000
      while (!(await holds())) {
        if (Date.now() > deadline) throw new Error(`waited ten seconds for ${what}`)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    },
    async close() {
      clearInterval(beat)
      stopping.abort(new Error('closed'))
      await runner.stop()
      await watching
      await collector.close()
      await logs.close()
      await db.destroy()
      await rm(data, { recursive: true, force: true })
    },
  }
  opened.push(stage)
  return stage
}

const well: Script = { listens: { after: 5 } }
const versions = (stage: Stage): Promise<(string | number)[][]> =>
  listDynos(stage.d.db, stage.app.id).then((dynos) =>
    dynos.map(({ name, state, release }) => [name, state, release.version]),
  )

test('a release takes over only when all of its web dynos are up, and the old ones go', async () => {
  const stage = await open(() => well)
  await stage.deploy()
  await scale(stage.d, stage.app, stage.account, [{ type: 'web', quantity: 3 }])
  await stage.until('three dynos', () => stage.serving().length === 3)
  const before = stage.serving()
  const { succeeded } = await stage.deploy()
  assert.ok(succeeded)
  await stage.until('the old to be gone', () => before.every((id) => !stage.world.dynos.has(id)))
  assert.equal(
    await versions(stage),
    [1, 2, 3].map((n) => [`web.${n}`, 'up', 3]),
  )
})

test('a release that crashes on boot fails, with its last words, and the old one never stops serving', async () => {
  const stage = await open(({ release }) =>
    release.version === 3 ? { prints: [{ text: 'no database\n' }], exits: { after: 20, code: 7 } } : well,
  )
  await stage.deploy()
  const before = stage.serving()
  const { succeeded, reason } = await stage.deploy()
  assert.not.ok(succeeded)
  assert.match(reason ?? '', /web\.1 exited with status 7/)
  assert.match(reason ?? '', /no database/)
  assert.match(reason ?? '', /v2 still serves/)
  assert.equal(stage.serving(), before)
  await stage.until('the failed dynos to be gone', () => stage.world.dynos.size === 1)
  assert.is((await listReleases(stage.d.db, stage.app.id))[0]?.status, 'failed')
})

test('a config change after a failed release starts from the one that serves, and numbers are not used again', async () => {
  const stage = await open(({ env }) => (env.includes('BAD=1') ? { exits: { after: 1, code: 1 } } : well))
  await stage.deploy()
  await changeConfig(stage.d, stage.app, stage.account, { BAD: '1' })
  await stage.until('v3 to fail', async () => (await listReleases(stage.d.db, stage.app.id))[0]?.status === 'failed')
  const config = await changeConfig(stage.d, stage.app, stage.account, { GOOD: '1' })
  assert.equal(config, { GOOD: '1' })
  await stage.until(
    'v4 to serve',
    async () => (await listReleases(stage.d.db, stage.app.id))[0]?.status === 'succeeded',
  )
  assert.is((await listReleases(stage.d.db, stage.app.id))[0]?.version, 4)
})

test('a restart replaces each web dyno beside its successor, without a moment with none', async () => {
  const stage = await open(() => well)
  await stage.deploy()
  const [before] = stage.serving()
  let gaps = 0
  const watch = setInterval(() => {
    if (stage.serving().length === 0) gaps++
  }, 1)
  await restart(stage.d, stage.app, {})
  await stage.until('the successor', () => stage.serving().length === 1 && stage.serving()[0] !== before)
  clearInterval(watch)
  assert.is(gaps, 0)
})

test('twenty dynos and an engine that fails half of its starts and stops: the old twenty stay up, and all heals', async () => {
  let faulty: FaultyEngine | undefined
  const stage = await open(
    () => well,
    (inner) => {
      faulty = createFaultyEngine(inner, { seed: 6, probability: 0.5, faults: ['create', 'start', 'stop', 'stopped'] })
      const calm = { ...inner }
      return {
        ...calm,
        start: (spec, signal) =>
          spec.release.version < 3 ? inner.start(spec, signal) : (faulty as FaultyEngine).start(spec, signal),
        stop: (id, grace) => (faulty as FaultyEngine).stop(id, grace),
      }
    },
  )
  await stage.deploy()
  await scale(stage.d, stage.app, stage.account, [{ type: 'web', quantity: 20 }])
  await stage.until('twenty dynos', () => stage.serving().length === 20)
  const before = stage.serving().sort()
  for (let attempt = 0; attempt < 3; attempt++) {
    const { succeeded } = await stage.deploy()
    assert.not.ok(succeeded)
    assert.equal(stage.serving().sort(), before)
  }
  assert.ok((faulty?.struck.create ?? 0) + (faulty?.struck.start ?? 0) > 0)
  faulty?.heal()
  const { succeeded, version } = await stage.deploy()
  assert.ok(succeeded)
  await stage.until('only the new twenty', () => stage.world.dynos.size === 20 && stage.serving().length === 20)
  for (const [, state, release] of await versions(stage)) assert.equal([state, release], ['up', version])
})

test('a worker never runs twice in one slot, and one whose type has gone ends after the cutover', async () => {
  let most = 0
  const stage = await open(() => well)
  const watch = setInterval(() => {
    const workers = [...stage.world.dynos.values()].filter(({ placed }) => placed.type === 'worker' && placed.running)
    most = Math.max(most, workers.length)
  }, 1)
  await stage.deploy({ web: 'serve', worker: 'work' })
  await scale(stage.d, stage.app, stage.account, [{ type: 'worker', quantity: 1 }])
  await stage.until('a worker', async () =>
    (await versions(stage)).some(([name, state]) => name === 'worker.1' && state === 'up'),
  )
  await stage.deploy({ web: 'serve', worker: 'work' })
  await stage.until('its successor', async () =>
    (await versions(stage)).some(([name, , version]) => name === 'worker.1' && version === 3),
  )
  await stage.deploy({ web: 'serve' })
  await stage.until('no worker', async () => !(await versions(stage)).some(([name]) => name === 'worker.1'))
  clearInterval(watch)
  assert.is(most, 1)
})

test.run()
