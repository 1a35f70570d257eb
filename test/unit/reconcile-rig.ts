import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { accountNamed, ensureAdmin } from '../../daemon/account/account.ts'
import { createAttempts } from '../../daemon/account/attempt.ts'
import { createBrowserLogins } from '../../daemon/account/browser-login.ts'
import { createApp, forgetApp } from '../../daemon/app/app.ts'
import { createBackups } from '../../daemon/backup/backups.ts'
import { createQueue } from '../../daemon/build/queue.ts'
import { type Clock, systemClock } from '../../daemon/clock.ts'
import { readConfig } from '../../daemon/config.ts'
import type { Daemon } from '../../daemon/daemon.ts'
import type { DynoSpec, Engine } from '../../daemon/engine/engine.ts'
import { createLog, type Log } from '../../daemon/log.ts'
import { createCollector } from '../../daemon/logs/collect.ts'
import { createDeliveries } from '../../daemon/logs/drain/deliveries.ts'
import { createLogs } from '../../daemon/logs/logs.ts'
import { createTranscripts } from '../../daemon/logs/transcript.ts'
import { createUnderway } from '../../daemon/pipeline/underway.ts'
import { createRegistry } from '../../daemon/registry/registry.ts'
import { failRelease } from '../../daemon/release/failure.ts'
import { type Outcome, outcome } from '../../daemon/release/outcome.ts'
import { createRelease } from '../../daemon/release/release.ts'
import { Receipts } from '../../daemon/route/receipt.ts'
import { allRoutes } from '../../daemon/route/routes.ts'
import { createBoots } from '../../daemon/run/boot.ts'
import { createCapacity } from '../../daemon/run/capacity.ts'
import { listDynos } from '../../daemon/run/dyno.ts'
import { createExec } from '../../daemon/run/exec.ts'
import { createPlacements } from '../../daemon/run/placement.ts'
import { createPass } from '../../daemon/run/reconcile.ts'
import { createRendezvous } from '../../daemon/run/rendezvous.ts'
import { createSettlements } from '../../daemon/run/rollout.ts'
import { createRunner } from '../../daemon/runner.ts'
import { type Db, decide, openDatabase } from '../../daemon/store/database.ts'
import { createSeal } from '../../daemon/store/seal.ts'
import { slugTree } from '../../daemon/store/slug-path.ts'
import { createMemoryEngine, createWorld, listening, type Script, type World } from '../engine/memory.ts'
import { noAcm } from './no-acm.ts'
import { noDisk } from './no-disk.ts'

/** The whole of run/ and release/ over a real database, with an engine in memory and routers that follow at once. */
export interface Stage {
  d: Daemon
  world: World
  app: Awaited<ReturnType<typeof createApp>>
  account: { id: string; email: string }
  deploy(types?: Record<string, string>): Promise<Outcome & { version: number }>
  /** Lines of the daemon's own log. */
  said: string[]
  /** Of these no router says that they are drained. */
  undrained: Set<string>
  /** Since when every router finds that their liveness check fails, ms. */
  dead: Map<string, number>
  /** What routers are told of the time that tunnels have. */
  grace: { ms: number | undefined }
  /** One more look; when the next is due. */
  look(): Promise<number | null>
  /** Dynos that get requests now. */
  serving(): string[]
  /** Polls until it holds. */
  until(what: string, holds: () => boolean | Promise<boolean>): Promise<void>
  close(): Promise<void>
}

export const signal = new AbortController().signal
setMaxListeners(0, signal)

const opened: Stage[] = []

/** For after each test. */
export async function closeAll(): Promise<void> {
  for (const stage of opened.splice(0)) await stage.close()
}

/** Parts of its own that a test brings; nothing pokes but what happens. */
export type Own = (parts: {
  db: Db
  log: Log
  world: World
  poke: (app: string) => void
}) => Pick<Daemon, 'db' | 'routers'>

export async function open(
  script: (spec: DynoSpec) => Script,
  wrap: (engine: Engine) => Engine = (engine) => engine,
  own?: Own,
  { clock = systemClock, settings = {} }: { clock?: Clock; settings?: Parameters<typeof readConfig>[0] } = {},
): Promise<Stage> {
  const data = await mkdtemp(join(tmpdir(), 'sluice-reconcile-'))
  const admin = { SLUICE_ADMIN_TOKEN: 'token', SLUICE_ADMIN_EMAIL: 'admin@example.com' }
  const config = readConfig({ SLUICE_DATA: data, ...admin, ...settings })
  const said: string[] = []
  const log = createLog((line) => said.push(line))
  const file = await openDatabase(join(data, 'sluice.db'))
  const world = createWorld(clock, script)
  const engine = wrap(createMemoryEngine(world))
  const logs = createLogs(config, log)
  const collector = createCollector(engine, logs, log)
  const undrained = new Set<string>()
  const dead = new Map<string, number>()
  const grace: Stage['grace'] = { ms: undefined }
  let backends: { id: string; mode: string }[] = []
  const followers = {
    accept() {},
    followed: async () => {},
    publish: async () => {
      backends = (await allRoutes(file, 'localhost')).flatMap((route) => route.backends)
    },
    repeat: async () => {},
    acknowledged: () => true,
    healthy: (id: string) => backends.some((one) => one.id === id && one.mode === 'probe') && listening(world, id),
    drained: (id: string) => !undrained.has(id),
    connected: 1,
    connectedSince: 0,
    list: () => [],
    forget: () => 'unknown' as const,
    receipts: new Receipts(),
    dead: (id: string) => (dead.has(id) ? { since: dead.get(id) ?? 0, spread: 1 } : null),
    panics: () => false,
    troubleOf: () => undefined,
    graceOf: () => grace.ms,
    close() {},
  }
  const runner = createRunner((app, signal) => pass(app, signal), clock, log)
  const { db, routers } = own?.({ db: file, log, world, poke: runner.poke }) ?? { db: file, routers: followers }
  const placements = createPlacements(
    { engine, clock, log, boots: createBoots(clock, 8) },
    {
      known() {},
      changed: (app) => runner.poke(app),
      seen: (placed) =>
        collector.follow({ id: placed.id, app: placed.app, name: placed.name, since: placed.startedAt }),
      exited() {},
      exceeded() {},
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
    backups: createBackups(() => d),
    ...parts,
    exec: createExec(engine),
    capacity: createCapacity({ db, engine, clock, bound: config.memory, poke: runner.poke, available: () => 2 ** 50 }),
    disk: noDisk,
    acm: noAcm,
    queue: createQueue(),
    seal,
    stack,
    drains: createDeliveries({ config, log, logs, clock }),
    transcripts: createTranscripts(config, log),
    settlements: createSettlements(),
    registry: createRegistry({ config, clock, log }),
    underway: createUnderway(log),
    webhooks: { wake() {}, refuses: async () => false, stop: async () => {} },
    rendezvous: createRendezvous(clock),
    attempts: createAttempts(clock),
    browserLogins: createBrowserLogins(clock),
    watch: {} as unknown as Daemon['watch'],
    tunnel: { listen: async () => {}, admit: () => ({ host: '', user: '', hostKey: '' }), upgrade() {}, close() {} },
  }
  const pass = createPass(d, placements, {
    erase: async (app) => void (await forgetApp(db, app.id)),
    failRelease: (release, reason, tell) => failRelease(d, release, reason, { tell }),
  })
  const stopping = new AbortController()
  const watching = placements.run(stopping.signal)
  await ensureAdmin(d)
  const account = await accountNamed(db, 'admin@example.com')
  if (!account) throw new Error('there is no administrator')
  const app = await createApp(d, account, { name: 'demo' })
  const beat = own ? undefined : setInterval(() => runner.poke(app.id), 10)

  const stage: Stage = {
    d,
    world,
    app,
    account,
    said,
    undrained,
    dead,
    grace,
    look: () => pass(app.id, signal),
    serving: () => backends.filter(({ id, mode }) => mode === 'serve' && listening(world, id)).map(({ id }) => id),
    async deploy(types = { web: 'serve' }) {
      const slug = randomUUID()
      await mkdir(slugTree(config, slug), { recursive: true })
      const release = await decide(db, async (tx) => {
        const row = { id: slug, app_id: app.id, key: slug, files: slug, commit: null, checksum: 'SHA256:0', size: 1 }
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
      const deadline = Date.now() + 50_000
      while (!(await holds())) {
        if (Date.now() > deadline) throw new Error(`waited fifty seconds for ${what}`)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    },
    async close() {
      clearInterval(beat)
      stopping.abort(new Error('closed'))
      await runner.stop()
      await watching
      routers.close()
      await collector.close()
      await logs.close()
      await db.destroy()
      await rm(data, { recursive: true, force: true })
    },
  }
  opened.push(stage)
  return stage
}

export const well: Script = { listens: { after: 5 } }
export const versions = (stage: Stage): Promise<(string | number)[][]> =>
  listDynos(stage.d.db, stage.app.id).then((dynos) =>
    dynos.map(({ name, state, release }) => [name, state, release.version]),
  )
