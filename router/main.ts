import { readFile } from 'node:fs/promises'
import type { Server } from 'node:net'
import { join } from 'node:path'
import { createSecureContext, type Server as TlsServer } from 'node:tls'
import { type Config, readConfig } from './config.ts'
import { Contexts } from './contexts.ts'
import { type Control, createControl } from './control.ts'
import { identify } from './identity.ts'
import { absent, listen, listenTls, type Place } from './listener.ts'
import { Router } from './router.ts'
import { type Snapshot, Snapshots } from './snapshot.ts'

/** The router process: the last table from disk, then the doors, then the daemon, until SIGTERM. */
async function main(): Promise<void> {
  const config = readConfig()
  let control: Control | undefined
  const router = new Router({
    up: (backend) => control?.up(backend),
    drained: (backend, receipt) => control?.drained(backend, receipt),
    line: (line) => control?.line(line),
  })
  const contexts = new Contexts(router, warn)
  const snapshots = new Snapshots(join(config.data, 'router'))
  let inForce = await restore(router, snapshots)
  contexts.use(inForce.certificates)
  const doors = new Doors(router, contexts, config)
  await doors.open()
  control = createControl({
    url: `ws://127.0.0.1:${config.daemonPort}/routers`,
    tokenFile: join(config.data, 'router.token'),
    router: await identify(join(config.data, 'router'), 1),
    applied: () => inForce.table.version,
    certificates: inForce.certificates,
    async apply(table, certificates) {
      router.apply(table)
      contexts.use(certificates)
      const before = inForce
      inForce = { table, certificates }
      await snapshots
        .write(inForce, before.certificates)
        .catch((error) => warn(`The table cannot be kept on disk: ${messageOf(error)}`))
      await doors.openTls().catch((error) => warn(messageOf(error)))
    },
    report: () => router.report(),
    warn,
  })
  await signalled()
  doors.close()
  await router.close()
  await control.close()
}

/** What is served from now on; a damaged snapshot is said and passed over, since the daemon will send the table. */
async function restore(router: Router, snapshots: Snapshots): Promise<Snapshot> {
  const empty: Snapshot = { table: { version: 0, apps: [], challenges: [] }, certificates: new Map() }
  try {
    const snapshot = await snapshots.read(() =>
      warn('The kept certificates cannot be used; the daemon will send them.'),
    )
    if (snapshot === undefined) return empty
    router.apply(snapshot.table)
    return snapshot
  } catch (error) {
    warn(`The kept table cannot be used: ${messageOf(error)}`)
    return empty
  }
}

/** The public ports. */
class Doors {
  private readonly router: Router
  private readonly contexts: Contexts
  private readonly config: Config
  private readonly plain: Server[] = []
  private readonly secure: TlsServer[] = []
  private certificate: Buffer | undefined

  constructor(router: Router, contexts: Contexts, config: Config) {
    this.router = router
    this.contexts = contexts
    this.config = config
  }

  async open(): Promise<void> {
    await this.listenOn(this.config.httpPort, async (place) => {
      this.plain.push(await listen(this.router, place))
    })
    await this.openTls()
    process.stderr.write(`<6>router listens on ${this.config.hosts.join(', ')} port ${this.config.httpPort}\n`)
  }

  /** Serves with the certificate as it is now: it may be made, and renewed, after we have started. */
  async openTls(): Promise<void> {
    const file = (name: string) => readFile(join(this.config.data, 'tls', name)).catch(() => undefined)
    const [key, cert] = await Promise.all([file('key.pem'), file('cert.pem')])
    if (key === undefined || cert === undefined || this.certificate?.equals(cert)) return
    if (!matching(key, cert)) return warn('The key and the certificate do not belong together; TLS stays as it was.')
    if (this.certificate === undefined)
      await this.listenOn(this.config.tlsPort, async (place) => {
        this.secure.push(await listenTls(this.router, place, { key, cert, contexts: this.contexts }))
      })
    else for (const server of this.secure) server.setSecureContext({ key, cert })
    this.certificate = cert
  }

  close(): void {
    for (const server of [...this.plain, ...this.secure]) server.close()
  }

  private async listenOn(port: number, listenAt: (place: Place) => Promise<void>): Promise<void> {
    for (const host of this.config.hosts) {
      try {
        await listenAt({ host, port })
      } catch (error) {
        if (!(absent(error) && this.config.hosts.length > 1)) throw error
      }
    }
  }
}

/** False while the two files are being replaced. */
function matching(key: Buffer, cert: Buffer): boolean {
  try {
    createSecureContext({ key, cert })
    return true
  } catch {
    return false
  }
}

const signalled = (): Promise<void> =>
  new Promise((resolve) => {
    process.once('SIGTERM', () => resolve())
    process.once('SIGINT', () => resolve())
  })

const warn = (sentence: string): void => {
  process.stderr.write(`<4>${sentence}\n`)
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

main().then(
  () => process.exit(0),
  (error) => {
    process.stderr.write(`<3>${messageOf(error)}\n`)
    process.exit(1)
  },
)
