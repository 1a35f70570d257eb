import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { type Account, accountNamed, ensureAdmin } from '../../daemon/account/account.ts'
import { createAttempts } from '../../daemon/account/attempt.ts'
import { createAuthorization } from '../../daemon/account/authorization.ts'
import { createBrowserLogins } from '../../daemon/account/browser-login.ts'
import { createApi } from '../../daemon/api/api.ts'
import { createRepresent } from '../../daemon/api/webhook-data.ts'
import { type App, forgetApp } from '../../daemon/app/app.ts'
import { createBackups } from '../../daemon/backup/backups.ts'
import { createQueue } from '../../daemon/build/queue.ts'
import { systemClock } from '../../daemon/clock.ts'
import { readConfig } from '../../daemon/config.ts'
import type { Daemon } from '../../daemon/daemon.ts'
import { createLog } from '../../daemon/log.ts'
import { createDeliveries } from '../../daemon/logs/drain/deliveries.ts'
import { createDialer } from '../../daemon/logs/drain/dial.ts'
import { createTargets } from '../../daemon/logs/drain/target.ts'
import { createLogs } from '../../daemon/logs/logs.ts'
import { createTranscripts } from '../../daemon/logs/transcript.ts'
import { createUnderway } from '../../daemon/pipeline/underway.ts'
import { createEndpoint } from '../../daemon/registry/endpoint.ts'
import { createRegistry } from '../../daemon/registry/registry.ts'
import { createRelease } from '../../daemon/release/release.ts'
import { createIssuance } from '../../daemon/route/issuance.ts'
import { Receipts } from '../../daemon/route/receipt.ts'
import { createCapacity } from '../../daemon/run/capacity.ts'
import { insertDyno } from '../../daemon/run/dyno.ts'
import { createExec } from '../../daemon/run/exec.ts'
import { listFormation } from '../../daemon/run/formation.ts'
import { createRendezvous } from '../../daemon/run/rendezvous.ts'
import { advanceRollout, candidateRollout, createSettlements } from '../../daemon/run/rollout.ts'
import { readHostKey } from '../../daemon/run/ssh/host-key.ts'
import { createTunnel } from '../../daemon/run/tunnel.ts'
import { createRunner } from '../../daemon/runner.ts'
import { decide, openDatabase, type Tx } from '../../daemon/store/database.ts'
import { createSeal } from '../../daemon/store/seal.ts'
import { ensureScrapeToken } from '../../daemon/watch/scrape.ts'
import { createWatch } from '../../daemon/watch/watch.ts'
import { createWebhooks } from '../../daemon/webhook/webhooks.ts'
import { createImageStore, createMemoryImages } from '../engine/memory-images.ts'
import { differences } from '../schema/schema.ts'
import { noDisk } from '../unit/no-disk.ts'

/** The API on a port, over a real database; only what runs dynos is replaced, by rows that are up at once. */
export interface Host {
  d: Daemon
  url: string
  token: string
  /** What the daemon's own log said. */
  logged: string[]
  request(method: string, path: string, options?: Options): Promise<Answer>
  /** An account beside the administrator, with its token. */
  invite(email: string): Promise<{ account: Account; token: string }>
  /** A release with code, as a push makes it. */
  deploy(app: App, processTypes: Record<string, string>): Promise<void>
  /** Waits until everything that was asked for has been done. */
  settled(): Promise<void>
  close(): Promise<void>
}

export interface Options {
  body?: unknown
  token?: string | null
  headers?: Record<string, string>
}

export interface Answer {
  status: number
  headers: Headers
  text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  json: any
}

const TOKEN = 'SLUICE-test-token'

/** With SLUICE_DATA over a database that may be there already; it is left then. */
export async function startHost(settings: Record<string, string> = {}): Promise<Host> {
  const data = settings.SLUICE_DATA ?? (await mkdtemp(join(tmpdir(), 'sluice-api-')))
  const logged: string[] = []
  const d = await assemble(data, logged, settings)
  await ensureAdmin(d.daemon)
  await ensureScrapeToken(data)
  const api = createApi(d.daemon)
  const registry = createEndpoint(d.daemon)
  const server = createServer((req, res) => registry.handle(req, res) || api(req, res))
  // a request of a test is never on its way over a connection that is just being ended for its idleness
  server.keepAliveTimeout = 0
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://localhost:${(server.address() as AddressInfo).port}`
  return {
    d: d.daemon,
    url,
    token: TOKEN,
    logged,
    settled: d.settled,
    request: (method, path, options = {}) => request(url, method, path, options),
    invite: (email) => invite(d.daemon, email),
    deploy: async (app, processTypes) => {
      await deploy(d.daemon, app, processTypes)
      await d.settled()
    },
    async close() {
      d.daemon.tunnel.close()
      server.closeAllConnections()
      d.daemon.rendezvous.close()
      d.daemon.browserLogins.close()
      await new Promise((resolve) => server.close(resolve))
      await d.daemon.registry.stop()
      await d.daemon.acm.stop()
      await d.daemon.underway.stop()
      await d.daemon.runner.stop()
      await d.daemon.webhooks.stop()
      await d.daemon.drains.stop()
      await d.daemon.logs.close()
      await d.daemon.db.destroy()
      // something of a request that has been answered may still be written
      if (settings.SLUICE_DATA === undefined) await rm(data, { recursive: true, force: true, maxRetries: 10 })
    },
  }
}

async function assemble(data: string, logged: string[], settings: Record<string, string>) {
  const config = readConfig({
    SLUICE_DATA: data,
    SLUICE_ADMIN_EMAIL: 'admin@example.com',
    SLUICE_ADMIN_TOKEN: TOKEN,
    SLUICE_BUILDPACK_REGISTRY: 'none',
    ...settings,
    SLUICE_EXEC_HOST: `127.78.${(process.pid >> 8) & 255}.${process.pid & 255 || 1}`,
  })
  const log = createLog((line) => logged.push(line))
  const db = await openDatabase(join(data, 'sluice.db'))
  const logs = createLogs(config, log)
  let running = 0
  const asked = new Set<string>()
  const idle: (() => void)[] = []
  const instant = createRunner(
    async (app) => {
      asked.delete(app)
      running++
      try {
        await runInstantly(daemon, app)
      } finally {
        if (--running + asked.size === 0) for (const wake of idle.splice(0)) wake()
      }
      return null
    },
    systemClock,
    log,
  )
  const poke = (app: string) => {
    asked.add(app)
    instant.poke(app)
  }
  const images = createMemoryImages(createImageStore())
  const engine = new Proxy({ images, memoryUsed: async () => null } as Partial<Daemon['engine']> as Daemon['engine'], {
    get: (known, name) => Reflect.get(known, name) ?? (() => Promise.reject(new Error(`engine.${String(name)}`))),
  })
  const seal = createSeal(Buffer.alloc(32, 7))
  const routers: Daemon['routers'] = {
    accept() {},
    publish: async () => {},
    repeat: async () => {},
    followed: async () => {},
    acknowledged: () => true,
    healthy: () => true,
    dead: () => null,
    panics: () => false,
    drained: () => true,
    connected: 1,
    connectedSince: 0,
    list: () => [],
    forget: () => 'unknown' as const,
    receipts: new Receipts(),
    troubleOf: () => undefined,
    graceOf: () => undefined,
    close() {},
  }
  const daemon: Daemon = {
    config,
    clock: systemClock,
    log,
    db,
    seal,
    webhooks: createWebhooks({
      ...{ db, seal, clock: systemClock, log },
      dialer: createDialer(createTargets(config.networkPool, config.drainAllow), config.caBundle, log),
      represent: (include, app, subject) => createRepresent(daemon)(include, app, subject),
    }),
    engine,
    capacity: createCapacity({ db, engine, clock: systemClock, bound: undefined, poke() {}, available: () => 2 ** 50 }),
    disk: noDisk,
    backups: createBackups(() => daemon),
    queue: createQueue(),
    exec: createExec(engine),
    runner: { ...instant, poke },
    registry: createRegistry({ config, clock: systemClock, log }),
    logs,
    drains: createDeliveries({ config, log, logs, clock: systemClock }),
    collector: { follow() {}, settled: async () => {}, tail: () => [], close: async () => {} },
    transcripts: createTranscripts(config, log),
    routers,
    acm: createIssuance({ config, clock: systemClock, log, db, seal, routers, logs }),
    rendezvous: createRendezvous(systemClock),
    attempts: createAttempts(systemClock),
    browserLogins: createBrowserLogins(systemClock),
    tunnel: createTunnel({
      clock: systemClock,
      log,
      hostKey: await readHostKey(join(data, 'ssh.key')),
      address: config.execHost,
      exec: createExec(engine),
    }),
    settlements: createSettlements(),
    underway: createUnderway(log),
    watch: createWatch(() => daemon, {
      boots: { state: () => ({ booting: 0, waiting: 0 }) },
      firewall: { state: 'up' },
      reconciled: () => true,
    }),
    stack: () => ({ run: 'run', build: 'build', origin: 'debian' }),
  }
  const settled = () =>
    running + asked.size === 0 ? Promise.resolve() : new Promise<void>((resolve) => idle.push(resolve))
  return { daemon, settled }
}

/** In place of the platform's pass: a release serves at once, and its dynos are up as many as the formation says. */
async function runInstantly(d: Daemon, app: string): Promise<void> {
  await forgetApp(d.db, app)
  const now = d.clock.now()
  const candidate = await candidateRollout(d.db, app)
  const superseded = candidate && (await advanceRollout(d.db, candidate.release_id, 'succeeded', now))
  for (const { release_id } of candidate && superseded ? [candidate, ...superseded] : [])
    d.settlements.announce(release_id)
  const release = await d.db
    .selectFrom('releases')
    .select('id')
    .where('app_id', '=', app)
    .where('slug_id', 'is not', null)
    .orderBy('version', 'desc')
    .executeTakeFirst()
  if (!release) return
  // at once, because somebody may look in between
  await decide(d.db, (tx) => replaceDynos(tx, { app, release: release.id, now }))
}

async function replaceDynos(tx: Tx, { app, release, now }: { app: string; release: string; now: number }) {
  await tx.deleteFrom('dynos').where('app_id', '=', app).execute()
  for (const { type, command, quantity, size } of await listFormation(tx, app))
    for (let ordinal = 1; ordinal <= quantity; ordinal++)
      await insertDyno(tx, {
        ...{
          id: randomUUID(),
          app_id: app,
          release_id: release,
          type,
          ordinal,
          size,
          command,
          state: 'up',
          replace: 0,
        },
        ...{ crashes: 0, retry_at: null, exit_code: null, address: '10.0.0.2', port: 3000, one_off: null },
        ...{ created_at: now, updated_at: now },
      })
}

async function deploy(d: Daemon, app: App, processTypes: Record<string, string>): Promise<void> {
  const slugId = randomUUID()
  await decide(d.db, async (tx) => {
    await tx
      .insertInto('slugs')
      .values({
        ...{
          id: slugId,
          app_id: app.id,
          key: slugId,
          files: slugId,
          commit: 'a'.repeat(40),
          checksum: `SHA256:${'0'.repeat(64)}`,
        },
        ...{ size: 12_345_678, process_types: JSON.stringify(processTypes), buildpack_description: 'Node.js' },
        ...{ stack: app.stack, created_at: d.clock.now() },
      })
      .execute()
    await createRelease(d, tx, {
      app: app.id,
      account: { id: app.owner_id, email: 'owner' },
      description: 'Deploy aaaaaaaa',
      slugId,
    })
  })
  d.runner.poke(app.id)
}

async function invite(d: Daemon, email: string) {
  const now = d.clock.now()
  const row = {
    id: randomUUID(),
    email,
    name: null,
    admin: 0 as const,
    created_at: now,
    updated_at: now,
    last_login: null,
  }
  await d.db.insertInto('accounts').values(row).execute()
  const account = await accountNamed(d.db, email)
  if (!account) throw new Error(`no account ${email}`)
  const { token } = await createAuthorization(d.db, account, {
    description: 'test',
    scope: ['global'],
    expiresIn: null,
    now,
  })
  return { account, token }
}

async function request(url: string, method: string, path: string, options: Options): Promise<Answer> {
  const { body, token = TOKEN, headers = {} } = options
  const response = await fetch(url + path, {
    method,
    headers: {
      accept: 'application/vnd.heroku+json; version=3',
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  const json = /json/.test(response.headers.get('content-type') ?? '') && text ? JSON.parse(text) : undefined
  if (response.ok && json !== undefined) assert.equal(differences(method, path, json), [], `${method} ${path}`)
  return { status: response.status, headers: response.headers, text, json }
}
