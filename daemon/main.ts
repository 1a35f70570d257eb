import { randomBytes, randomUUID } from 'node:crypto'
import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { resolveStacks } from '../buildpacks/stack.ts'
import { ensureAdmin } from './account/account.ts'
import { createApi } from './api/api.ts'
import { failInterrupted } from './build/build.ts'
import { deploy } from './build/deploy.ts'
import { systemClock } from './clock.ts'
import { type Config, readConfig } from './config.ts'
import type { Daemon } from './daemon.ts'
import { createDockerEngine } from './engine/docker.ts'
import type { Placed } from './engine/engine.ts'
import { eraseApp } from './erase.ts'
import { messageOf } from './errors.ts'
import { createGit } from './git/git.ts'
import { createLog, type Log } from './log.ts'
import { createCollector } from './logs/collect.ts'
import { createDeliveries } from './logs/drain/deliveries.ts'
import { openDrains } from './logs/drain/drain.ts'
import { createLogs, type Logs } from './logs/logs.ts'
import { createTranscripts } from './logs/transcript.ts'
import { ensureCertificates } from './route/certificate.ts'
import { createRouters } from './route/control.ts'
import { allRoutes } from './route/routes.ts'
import { meet } from './run/bridge.ts'
import { resourcesOf } from './run/environment.ts'
import { createExec } from './run/exec.ts'
import { ended } from './run/notice.ts'
import { endAttached } from './run/oneoff.ts'
import { createOutput, type Output } from './run/output.ts'
import { createPlacements, type Placements } from './run/placement.ts'
import { createPass } from './run/reconcile.ts'
import { createRendezvous } from './run/rendezvous.ts'
import { createSettlements, failAttended } from './run/rollout.ts'
import { createAttach } from './run/ssh/attach.ts'
import { readHostKey } from './run/ssh/host-key.ts'
import { createTunnel } from './run/tunnel.ts'
import { createRunner, type Runner } from './runner.ts'
import { createServer } from './server.ts'
import { type Db, openDatabase } from './store/database.ts'
import { onceWritten } from './store/once.ts'
import { createSeal, readKey } from './store/seal.ts'

/** Starts the daemon, serves until SIGTERM or SIGINT, and leaves the apps running. */
async function main(): Promise<void> {
  const log = createLog()
  const config = readConfig()
  await mkdir(config.data, { recursive: true, mode: 0o700 })
  await chmod(config.data, 0o700)
  const { d, placements } = await assemble(config, log)
  await recover(d)
  const stopping = new AbortController()
  const server = await serve(d)
  const watching = placements.run(stopping.signal)
  log.info('ready', { port: config.api.port, data: config.data })
  await signalled()
  log.info('stopping')
  stopping.abort(new Error('the daemon is stopping'))
  // Before their place in the logs is taken from them; what is written from here on they get after the restart.
  await d.drains.stop()
  d.logs.endFollowers()
  d.rendezvous.close()
  await server.close()
  d.routers.close()
  await d.runner.stop()
  await watching
  await d.collector.close()
  await d.logs.close()
  await d.db.destroy()
  // What is still on its way (a client's process, an engine that does not answer) is for the next start to find.
  process.exit()
}

/** Makes the parts. They know one another through `d`, which is complete before any of them runs. */
async function assemble(config: Config, log: Log): Promise<{ d: Daemon; placements: Placements }> {
  const db = await openDatabase(join(config.data, 'sluice.db'))
  const clock = systemClock
  const engine = createDockerEngine({
    socket: config.engineSocket,
    installation: await installationId(config.data),
    data: config.data,
    caBundle: config.caBundle,
    log,
  })
  await engine.ping()
  const stacks = await resolveStacks(config.engineSocket)
  const logs = createLogs(config, log)
  const collector = createCollector(engine, logs, log)
  const poke = (app: string) => d.runner.poke(app)
  const transcripts = createTranscripts(config, log)
  const output = createOutput({ transcripts, collector })
  const placements = createPlacements({ engine, clock, log }, listeners({ db, logs, output, poke }))
  const routers = createRouters(
    { clock, log },
    {
      routes: () => allRoutes(db, config.domain),
      changed: poke,
      logLine: (app, at, text) => logs.write(app, { at, source: 'heroku', dyno: 'router', text }),
    },
  )
  const stack = (name: string) => {
    const images = stacks.get(name)
    if (!images) throw new Error(`There is no image of the stack ${name} on this host. Run the set-up script again.`)
    return images
  }
  const runner: Runner = createRunner((app, signal) => pass(app, signal), clock, log)
  const seal = createSeal(await readKey(join(config.data, 'seal.key')))
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
    exec,
    runner,
    logs,
    collector,
    drains: createDeliveries({ config, log, logs, clock }),
    transcripts,
    routers,
    rendezvous: createRendezvous(clock),
    tunnel,
    settlements,
    stack,
  }
  const d: Daemon = parts
  const pass = createPass(d, placements, (app) => eraseApp(d, app))
  return { d, placements }
}

const listeners = (parts: { db: Db; logs: Logs; output: Output; poke: (app: string) => void }) => ({
  known: async () => {
    for (const { id } of await parts.db.selectFrom('apps').select('id').execute()) parts.poke(id)
  },
  changed: parts.poke,
  seen: parts.output.seen,
  exited: async (placed: Placed, overdue: boolean) => {
    const { id, app, name: dyno, exitCode, outOfMemory } = placed
    await parts.output.exited(placed)
    const row = await parts.db.selectFrom('dynos').select('size').where('id', '=', id).executeTakeFirst()
    const memory = row ? resourcesOf(row.size).memory : null
    for (const text of ended({ exitCode, outOfMemory, overdue, memory }))
      parts.logs.write(app, { at: Date.now(), source: 'heroku', dyno, text })
  },
  wanted: async (ids: string[]) => {
    if (ids.length === 0) return new Set<string>()
    const rows = await parts.db.selectFrom('dynos').select('id').where('id', 'in', ids).execute()
    return new Set(rows.map(({ id }) => id))
  },
})

/** After a stop or a crash: what others were told has failed is failed. Every app gets a look once the engine was listed. */
async function recover(d: Daemon): Promise<void> {
  await ensureAdmin(d)
  await failAttended(d.db, d.clock.now())
  await failInterrupted(d)
  await endAttached(d)
  await openDrains(d)
  await d.routers.publish()
}

async function serve(d: Daemon) {
  const { config } = d
  const tls = await ensureCertificates(config)
  const git = await createGit(d, (request) => deploy(d, request))
  const routerToken = await secretFile(join(config.data, 'router.token'))
  const routers = (socket: WebSocket) => d.routers.accept(socket)
  const rendezvous = (socket: Duplex, secret: string) => meet(d, socket, secret)
  const attach = createAttach({ ...d, hostKey: await readHostKey(join(config.data, 'ssh.key')) })
  const parts = { api: createApi(d), git: git.handle, routers, rendezvous, attach, routerToken, tls, log: d.log }
  const server = createServer(parts, config)
  await server.listen()
  await d.tunnel.listen()
  return { close: () => Promise.all([server.close(), git.close(), d.tunnel.close()]) }
}

/** Tells this installation's containers from those of others on the same engine. */
const installationId = async (data: string): Promise<string> =>
  String(await onceWritten(join(data, 'installation'), randomUUID)).trim()

/** Shared with the routers of this host by its file mode. */
const secretFile = async (path: string): Promise<string> =>
  String(await onceWritten(path, () => randomBytes(32).toString('base64url'))).trim()

const signalled = (): Promise<void> =>
  new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve())
  })

main().catch((error: unknown) => {
  process.stderr.write(`sluice: ${messageOf(error)}\n`)
  process.exit(1)
})
