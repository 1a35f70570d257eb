import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { ensureAdmin } from './account/account.ts'
import { createApi } from './api/api.ts'
import { assemble } from './assemble.ts'
import { requireWhole } from './backup/restore.ts'
import { failInterrupted } from './build/build.ts'
import { deploy } from './build/deploy.ts'
import { endCopies, recoverCaches } from './build/slug/cache.ts'
import { recoverUploads } from './build/source/upload.ts'
import { within } from './clock.ts'
import { readConfig } from './config.ts'
import type { Daemon } from './daemon.ts'
import { openDataFolder } from './data-folder.ts'
import { messageOf } from './errors.ts'
import { armFailpoints } from './failpoint.ts'
import { readRouterToken } from './forwarded.ts'
import { createGit } from './git/git.ts'
import { limits } from './limits.ts'
import { createLog } from './log.ts'
import { openDrains } from './logs/drain/drain.ts'
import { createNotify, tellStart } from './notify.ts'
import { resumePromotions } from './pipeline/promotion.ts'
import { destroyStale } from './pipeline/review-app.ts'
import { resumeSetups } from './pipeline/setup.ts'
import { createEndpoint } from './registry/endpoint.ts'
import { failAttended } from './release/failure.ts'
import { startRetention } from './retention.ts'
import { openOwnCertificate } from './route/own-certificate.ts'
import { requireOwnNames } from './route/platform.ts'
import { meet } from './run/bridge.ts'
import { endAttached } from './run/oneoff.ts'
import { createAttach } from './run/ssh/attach.ts'
import { readHostKey } from './run/ssh/host-key.ts'
import { createServer } from './server.ts'
import { giveUpReserve, holdReserve } from './store/reserve.ts'
import { ensureScrapeToken } from './watch/scrape.ts'
import { keepWatchdog, vitalsOf } from './watchdog.ts'

/** Starts the daemon, serves until SIGTERM or SIGINT, and leaves the apps running. */
async function main(): Promise<void> {
  const log = createLog()
  const config = readConfig()
  const notify = createNotify(config.supervisor)
  const start = tellStart(notify)
  armFailpoints(config.failpoints)
  await openDataFolder(config.data)
  await giveUpReserve(config.data)
  await requireWhole(config.data)
  const { d, placements, firewall } = await assemble(config, log, start.reconciled)
  start.status('Taking up what was cut off')
  await recover(d)
  await holdReserve(config.data)
  const stopping = new AbortController()
  const server = await serve(d)
  start.status('Looking at every app')
  const sweeping = setInterval(() => sweepAll(d, server), limits.sweep)
  const reserving = setInterval(() => reserve(d), limits.reserveEvery)
  const measuring = setInterval(() => d.disk.watch(), limits.measured)
  const watching = placements.run(stopping.signal)
  const retention = startRetention(d)
  void d.disk.collect()
  await d.acm.start()
  const every = config.supervisor?.watchdog ?? 0
  const watchdog = keepWatchdog({ every, vitals: vitalsOf(d.db, config.api), notify, log })
  void start.over.then(() => {
    log.info('ready', { port: config.api.port, data: config.data })
    return notify('READY=1', `STATUS=Serving the API at port ${config.api.port}`)
  })
  await signalled()
  log.info('stopping')
  void notify('STOPPING=1', 'STATUS=Stopping')
  watchdog.close()
  start.close()
  clearInterval(sweeping)
  clearInterval(reserving)
  clearInterval(measuring)
  firewall.close()
  stopping.abort(new Error('the daemon is stopping'))
  // Before their place in the logs is taken from them; what is written from here on they get after the restart.
  await d.drains.stop()
  d.logs.endFollowers()
  d.rendezvous.close()
  d.browserLogins.close()
  await server.close()
  d.routers.close()
  await d.backups.close()
  await d.registry.stop()
  await d.acm.stop()
  await d.underway.stop()
  await d.runner.stop()
  await within(d.clock, limits.collectStop, d.disk.close())
  await endCopies()
  await d.webhooks.stop()
  await retention.close()
  await watching
  // The next daemon, or who removes this one, would not see what the engine is still making.
  await within(d.clock, limits.launchStop, placements.answered())
  await d.collector.close()
  await d.logs.close()
  await d.db.destroy()
  // What is still on its way (a client's process, an engine that does not answer) is for the next start to find.
  process.exit()
}

/** After a stop or a crash: what others were told has failed is failed. Every app gets a look once the engine was listed. */
async function recover(d: Daemon): Promise<void> {
  await requireOwnNames(d)
  await ensureAdmin(d)
  await ensureScrapeToken(d.config.data)
  await failAttended(d)
  await failInterrupted(d)
  await recoverUploads(d)
  await recoverCaches(d)
  await d.backups.start()
  await endAttached(d)
  await openDrains(d)
  await d.registry.start()
  await resumePromotions(d)
  await resumeSetups(d)
  await d.routers.publish()
  d.webhooks.wake()
}

/** It was given up when the disk was full, and is held again when there is room. */
const reserve = (d: Daemon): Promise<void> =>
  holdReserve(d.config.data).catch((error: unknown) => d.log.warn('no disk is held for the rows', { error }))

function sweepAll(d: Daemon, server: Served): void {
  void d.disk.collect()
  server.renew().catch((error: unknown) => d.log.error("the platform's certificate was not renewed", { error }))
  // Certificates of the apps' own hosts are renewed by being named anew.
  d.routers.publish().catch((error: unknown) => d.log.error('the routers cannot be told', { error }))
  destroyStale(d).catch((error: unknown) => d.log.error('stale review apps were not destroyed', { error }))
}

type Served = Awaited<ReturnType<typeof serve>>

async function serve(d: Daemon) {
  const { config } = d
  const git = await createGit(d, (request) => deploy(d, request))
  const registry = createEndpoint(d)
  const routerToken = await readRouterToken(config.data)
  const certificate = await openOwnCertificate(d)
  const routers = (socket: WebSocket, { socket: { remoteAddress } }: IncomingMessage) =>
    d.routers.accept(socket, remoteAddress)
  const rendezvous = (socket: Duplex, secret: string) => meet(d, socket, secret)
  const attach = createAttach({ ...d, hostKey: await readHostKey(join(config.data, 'ssh.key')) })
  const parts = {
    api: createApi(d),
    git: git.handle,
    registry: registry.handle,
    routers,
    rendezvous,
    attach,
    tunnel: d.tunnel.upgrade,
    routerToken,
    tls: certificate.served,
    log: d.log,
  }
  const server = createServer(parts, config)
  await server.listen()
  await d.tunnel.listen()
  return {
    renew: () => certificate.renew(server.useCertificate),
    close: () => Promise.all([server.close(), git.close(), d.tunnel.close()]),
  }
}

const signalled = (): Promise<void> =>
  new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve())
  })

main().catch((error: unknown) => {
  process.stderr.write(`sluice: ${messageOf(error)}\n`)
  process.exit(1)
})
