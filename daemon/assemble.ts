import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { resolveStacks } from '../buildpacks/stack.ts'
import { createAttempts } from './account/attempt.ts'
import { createBrowserLogins } from './account/browser-login.ts'
import { createRepresent } from './api/webhook-data.ts'
import { createBackups } from './backup/backups.ts'
import { createQueue } from './build/queue.ts'
import { systemClock } from './clock.ts'
import type { Config } from './config.ts'
import type { Daemon } from './daemon.ts'
import { createDisk } from './disk/disk.ts'
import { createDockerEngine } from './engine/docker.ts'
import type { Placed } from './engine/engine.ts'
import { type Firewall, raiseFirewall } from './engine/firewall.ts'
import { eraseApp } from './erase.ts'
import { proofOf, readRouterToken } from './forwarded.ts'
import { limits } from './limits.ts'
import type { Log } from './log.ts'
import { createCollector } from './logs/collect.ts'
import { createDeliveries } from './logs/drain/deliveries.ts'
import { createDialer } from './logs/drain/dial.ts'
import { createTargets } from './logs/drain/target.ts'
import { createLogs, type Logs } from './logs/logs.ts'
import { createTranscripts } from './logs/transcript.ts'
import { createUnderway } from './pipeline/underway.ts'
import { createRegistry } from './registry/registry.ts'
import { failRelease } from './release/failure.ts'
import { bindHosts, hostPairs } from './route/acm-host.ts'
import { createRouters } from './route/control.ts'
import { createHostCertificates } from './route/host-certificate.ts'
import { createIssuance } from './route/issuance.ts'
import { PLATFORM, platformRoute } from './route/platform.ts'
import { openRegister } from './route/register.ts'
import { createSettings } from './route/release-setting.ts'
import { allRoutes } from './route/routes.ts'
import { readPairs } from './route/sni-endpoint.ts'
import { createBoots } from './run/boot.ts'
import { createCapacity } from './run/capacity.ts'
import { resourcesOf } from './run/environment.ts'
import { createExec } from './run/exec.ts'
import * as notice from './run/notice.ts'
import { createOutput, type Output } from './run/output.ts'
import { createPlacements, type Placements } from './run/placement.ts'
import { createPass } from './run/reconcile.ts'
import { createRendezvous } from './run/rendezvous.ts'
import { createSettlements } from './run/rollout.ts'
import { readHostKey } from './run/ssh/host-key.ts'
import { createStart, type Start } from './run/start.ts'
import { createTunnel } from './run/tunnel.ts'
import { createRunner, type Runner } from './runner.ts'
import { type Db, openDatabase } from './store/database.ts'
import { onceWritten } from './store/once.ts'
import { createSeal, readKey, requireRightKey } from './store/seal.ts'
import { createWatch } from './watch/watch.ts'
import { createWebhooks } from './webhook/webhooks.ts'

interface Assembled {
  d: Daemon
  placements: Placements
  firewall: Firewall
}

/**
 * Makes the parts. They know one another through `d`, which is complete before any of them runs. `reconciled` is called when the engine was
 * listed and every app has had its look.
 */
export async function assemble(config: Config, log: Log, reconciled: () => void): Promise<Assembled> {
  const database = join(config.data, 'sluice.db')
  const key = await readKey(join(config.data, 'seal.key'), { ...config, sealed: existsSync(database) })
  const db = await openDatabase(database)
  const clock = systemClock
  const installation = await installationId(config.data)
  const engine = createDockerEngine({
    socket: config.engineSocket,
    installation,
    data: config.data,
    caBundle: config.caBundle,
    log,
  })
  await engine.ping()
  const firewall = await raiseFirewall({ installation, reach: config.reach, log })
  const stacks = await resolveStacks(config.engineSocket)
  const logs = createLogs(config, log)
  const collector = createCollector(engine, logs, log)
  const poke = (app: string) => d.runner.poke(app)
  const transcripts = createTranscripts(config, log)
  const output = createOutput({ transcripts, collector })
  const boots = createBoots(clock, config.boots ?? availableParallelism() * limits.bootsPerCore)
  const start = createStart(reconciled)
  const placements = createPlacements({ engine, clock, log, boots }, listeners({ db, logs, output, start, poke }))
  const seal = createSeal(key)
  requireRightKey(seal, await db.selectFrom('releases').select(['id', 'config']).limit(1).executeTakeFirst())
  const settings = createSettings({ db, seal, log }, (app, faults) => {
    for (const fault of faults)
      logs.write(app, { at: clock.now(), source: 'heroku', dyno: 'router', text: `Ignored a config var: ${fault}` })
  })
  const own = await createHostCertificates(config, clock)
  const platform = platformRoute(config, proofOf(await readRouterToken(config.data)))
  const routers = createRouters(
    { clock, log, register: openRegister(join(config.data, 'routers.json'), { log, clock }) },
    {
      routes: async (apps) =>
        bindHosts(db, [
          ...(apps === undefined || apps.includes(PLATFORM) ? platform : []),
          ...own.bind(await allRoutes(db, config.domain, apps, settings)),
        ]),
      pairs: async (ids) =>
        new Map([
          ...(await readPairs({ db, seal, log }, ids)),
          ...(await hostPairs({ db, seal, log }, ids)),
          ...(await own.pairs(ids)),
        ]),
      challenges: () => acm.challenges(),
      changed: poke,
      logLine: (app, at, text, dyno = 'router') => logs.write(app, { at, source: 'heroku', dyno, text }),
    },
  )
  const acm = createIssuance({ config, clock, log, db, seal, routers, logs })
  const stack = (name: string) => {
    const images = stacks.get(name)
    if (!images) throw new Error(`There is no image of the stack ${name} on this host. Run the set-up script again.`)
    return images
  }
  const runner: Runner = createRunner((app, signal) => start.seeing(app, pass(app, signal)), clock, log)
  const settlements = createSettlements()
  const exec = createExec(engine)
  const tunnel = createTunnel({
    clock,
    log,
    hostKey: await readHostKey(join(config.data, 'ssh.key')),
    address: config.execHost,
    exec,
  })
  const parts = {
    config,
    clock,
    log,
    db,
    seal,
    engine,
    capacity: createCapacity({ db, engine, clock, bound: config.memory, poke }),
    queue: createQueue(config.builds),
    exec,
    runner,
    disk: createDisk(() => d),
    backups: createBackups(() => d),
    registry: createRegistry({ config, clock, log }),
    logs,
    collector,
    drains: createDeliveries({ config, log, logs, clock }),
    transcripts,
    webhooks: createWebhooks({
      ...{ db, seal, clock, log, represent: (include, app, subject) => createRepresent(d)(include, app, subject) },
      dialer: createDialer(createTargets(config.networkPool, config.drainAllow), config.caBundle, log),
    }),
    routers,
    acm,
    rendezvous: createRendezvous(clock),
    attempts: createAttempts(clock),
    browserLogins: createBrowserLogins(clock),
    tunnel,
    settlements,
    underway: createUnderway(log),
    watch: createWatch(() => d, { boots, firewall, reconciled: start.isOver }),
    stack,
  }
  const d: Daemon = parts
  const pass = createPass(d, placements, {
    erase: (app) => eraseApp(d, app),
    failRelease: (release, reason, tell) => failRelease(d, release, reason, { tell }),
  })
  return { d, placements, firewall }
}

interface Heard {
  db: Db
  logs: Logs
  output: Output
  start: Start
  poke(app: string): void
}

const listeners = (parts: Heard) => ({
  known: async () => {
    const apps = await parts.db.selectFrom('apps').select('id').execute()
    parts.start.known(apps.map(({ id }) => id))
    for (const { id } of apps) parts.poke(id)
  },
  changed: parts.poke,
  seen: parts.output.seen,
  exited: async (placed: Placed, overdue: boolean) => {
    const { exitCode, outOfMemory } = placed
    await parts.output.exited(placed)
    const memory = await memoryOf(parts.db, placed)
    tell(parts.logs, placed, notice.ended({ exitCode, outOfMemory, overdue, memory }))
  },
  exceeded: async (placed: Placed) => tell(parts.logs, placed, notice.exceeded(await memoryOf(parts.db, placed))),
  wanted: async (ids: string[]) => {
    if (ids.length === 0) return new Set<string>()
    const rows = await parts.db.selectFrom('dynos').select('id').where('id', 'in', ids).execute()
    return new Set(rows.map(({ id }) => id))
  },
})

function tell(logs: Logs, { app, name: dyno }: Placed, lines: string[]): void {
  for (const text of lines) logs.write(app, { at: Date.now(), source: 'heroku', dyno, text })
}

async function memoryOf(db: Db, { id }: Placed): Promise<number | null> {
  const row = await db.selectFrom('dynos').select('size').where('id', '=', id).executeTakeFirst()
  return row ? resourcesOf(row.size).memory : null
}

/** Tells this installation's containers from those of others on the same engine. */
const installationId = async (data: string): Promise<string> =>
  String(await onceWritten(join(data, 'installation'), randomUUID)).trim()
