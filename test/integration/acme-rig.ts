import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { WebSocketServer } from 'ws'
import { systemClock } from '../../daemon/clock.ts'
import { bindHosts, hostPairs } from '../../daemon/route/acm-host.ts'
import { ensureCertificates } from '../../daemon/route/certificate.ts'
import { createRouters } from '../../daemon/route/control.ts'
import { createIssuance } from '../../daemon/route/issuance.ts'
import { platformRoute } from '../../daemon/route/platform.ts'
import { allRoutes } from '../../daemon/route/routes.ts'
import { readPairs } from '../../daemon/route/sni-endpoint.ts'
import { type Host, startHost } from '../api/host.ts'
import { freePort } from '../e2e/ports.ts'
import { type NameServer, startNameServer } from './dns-server.ts'
import { type PebbleSettings, startPebble } from './pebble.ts'
import { eventually } from './router-rig.ts'

/** Pebble (an authority for tests), the real router process, and the API over a real database with the daemon's end of the routers' protocol. */
export interface AcmeRig {
  host: Host
  dns: NameServer
  ports: { http: number; https: number }
  /** The authority's root, PEM. */
  root: string
  stopRouter(): Promise<void>
  startRouter(): void
  /** Lets the daemon see a later time from now on. */
  passTime(ms: number): void
  /** The daemon's part that gets certificates dies, and another one begins. */
  restart(): Promise<void>
  /** Waits until the routers follow the rows. */
  followed(): Promise<void>
  /** A handshake for this name, verified against the authority's root: whose certificate it is, and its serial number. */
  greet(name: string): Promise<{ names: string; serial: string; trusted: boolean }>
  close(): Promise<void>
}

interface Wishes {
  /** Pebble's settings: from the environment, and of its file. */
  pebble?: PebbleSettings
  /** The daemon's. */
  settings?: Record<string, string>
}

export async function startAcmeRig({ pebble = {}, settings = {} }: Wishes = {}): Promise<AcmeRig> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-acme-'))
  const [http, https, api, directory, management] = await Promise.all(Array.from({ length: 5 }, freePort))
  const ports = {
    http: http ?? 0,
    https: https ?? 0,
    api: api ?? 0,
    directory: directory ?? 0,
    management: management ?? 0,
  }
  const dns = await startNameServer()
  const trusted = await startPebble(folder, { ports, dns, ...pebble })
  const host = await startHost({
    SLUICE_DATA: folder,
    SLUICE_ACME_DIRECTORY: `https://localhost:${ports.directory}/dir`,
    SLUICE_ACME_CONTACT: 'ops@example.com',
    SLUICE_CA_BUNDLE: join(folder, 'pebble.pem'),
    ...settings,
  })
  await writeFile(join(folder, 'router.token'), 'secret\n')
  await ensureCertificates({ data: folder, domain: 'localhost', api: { hosts: [] } })
  let router = startRouter(folder, ports)
  const stopDaemon = await startDaemonEnd(host, ports.api)
  let ahead = 0
  host.d.clock = { now: () => Date.now() + ahead, at: (at, wake) => systemClock.at(at - ahead, wake) }
  host.d.acm = createIssuance(host.d)
  await host.d.acm.start()
  return {
    host,
    dns,
    ports,
    root: trusted.root,
    async stopRouter() {
      router.kill('SIGKILL')
      await eventually(
        () => host.d.routers.connected === 0,
        () => 'the router’s end',
      )
    },
    startRouter() {
      router = startRouter(folder, ports)
    },
    passTime(ms) {
      ahead += Math.round(ms)
      host.d.acm.wake()
    },
    async restart() {
      await host.d.acm.stop()
      host.d.acm = createIssuance(host.d)
      await host.d.acm.start()
    },
    async followed() {
      await host.d.routers.publish()
      await host.d.routers.followed(AbortSignal.timeout(50_000))
    },
    greet: (name) => greet(ports.https, name, trusted.root),
    async close() {
      await host.close()
      stopDaemon()
      for (const child of [router, trusted.child]) child.kill('SIGKILL')
      dns.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

type Ports = Record<'http' | 'https' | 'api' | 'directory' | 'management', number>

function startRouter(data: string, ports: Ports): ChildProcess {
  const env = {
    ...process.env,
    ...{ SLUICE_DATA: data, SLUICE_PORT: String(ports.api), SLUICE_ROUTER_HOST: '127.0.0.1' },
    ...{ SLUICE_HTTP_PORT: String(ports.http), SLUICE_TLS_PORT: String(ports.https) },
  }
  const main = join(import.meta.dirname, '..', '..', 'router', 'main.js')
  return spawn(process.execPath, [main], { env, stdio: ['ignore', 'ignore', 'inherit'] })
}

/** In place of the API's own: routers that are real, and told what the rows say. */
async function startDaemonEnd(host: Host, port: number): Promise<() => void> {
  const { d } = host
  d.routers = createRouters(
    { clock: systemClock, log: d.log },
    {
      routes: async (apps) =>
        bindHosts(d.db, [...platformRoute(d.config, 'proof'), ...(await allRoutes(d.db, d.config.domain, apps))]),
      pairs: async (ids) => new Map([...(await readPairs(d, ids)), ...(await hostPairs(d, ids))]),
      challenges: () => d.acm.challenges(),
      changed() {},
      logLine: (app, at, text) => d.logs.write(app, { at, source: 'heroku', dyno: 'router', text }),
    },
  )
  const server = createHttpServer()
  const sockets = new WebSocketServer({ server, path: '/routers' })
  sockets.on('connection', (socket) => d.routers.accept(socket))
  server.listen(port, '127.0.0.1')
  await d.routers.publish()
  await eventually(
    () => d.routers.connected === 1,
    () => 'the router',
  )
  return () => {
    d.routers.close()
    for (const socket of sockets.clients) socket.terminate()
    server.close()
  }
}

async function greet(port: number, servername: string, ca: string): Promise<Awaited<ReturnType<AcmeRig['greet']>>> {
  const socket = connect({ host: '127.0.0.1', port, servername, ca, rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const { subjectaltname = '', serialNumber } = socket.getPeerCertificate()
  socket.destroy()
  return { names: subjectaltname, serial: serialNumber, trusted: socket.authorized }
}
