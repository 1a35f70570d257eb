import { type Check, type Checks, type Failing, parseChecks, WATCHES, type Watch, type WatchKind } from './check.ts'
import { boolean, integer, list, object, oneOf, parseJson, port, short, string } from './shape.ts'

/**
 * The control protocol between a router and the daemon: JSON text messages over one websocket that the router opens to
 * `/routers` with `Authorization: Bearer <router token>`. Down goes the whole wanted table, up come answers and facts.
 *
 *   router                          daemon
 *     | -- hello {protocol, applied,    |
 *     |   certificates, router} ------> |   ids of the certificates that it has kept; who it is
 *     | <- certificate {id, chain, key} |   each that the next table names and this router has not got yet
 *     | <- table {version, apps,        |
 *     |           challenges} --------- |   the whole table, first on each connection
 *     | <- change {version, base, apps, |
 *     |            gone, challenges} -- |   what leads from the table that was told before it, `base`, to a newer one
 *     | -- whole {} ------------------> |   `base` is not what was told; changes mean nothing until a table comes
 *     | -- applied {version} ---------> |   from now on no request follows an older table
 *     | -- health {backend, up} ------> |   for backends in mode `probe`; not up: why their checks failed
 *     | -- check {backend, check} ----> |   for backends in mode `serve`: a check fails from now on, or passes again
 *     | -- failing {checks} ----------> |   after each `applied`: all that fail now
 *     | -- drained {backend, receipt} > |   for backends in mode `drain`, when the last request ended
 *     | -- log {lines, dropped} ------> |
 *
 * A router answers `refused` when it cannot apply a table and keeps the one it has; the next change is still one to the table that was
 * told. Of tables that come while one is being applied only the newest is. A table of 10,000 apps takes a router's master a tenth of a
 * second, mostly to read and to compare, and one change of it a few ms: that is why changes go alone.
 *
 * A certificate never changes under its id, so it is sent once and kept as long as a table names it. A table may name one that has not
 * come, because it was removed meanwhile: its hosts get the platform's own. Keys travel in clear inside the websocket, which is loopback
 * or inside TLS.
 *
 * Daemon and router of one host are upgraded together. One that speaks another protocol is sent away; a router then serves on with the
 * table that it has. Protocol 2 brought certificates, protocol 3 changes, challenges, an app's own bounds and pages, receipts, and who a
 * router is, protocol 4 health checks, protocol 5 those of dynos that serve.
 */
export const PROTOCOL = 5

export interface Table {
  version: number
  apps: AppRoute[]
  challenges: Challenge[]
}

/** Apps that are new or other, the ids of those that went, and all challenges. */
export interface TableChange extends Table {
  /** Version of the table that it changes. */
  base: number
  gone: string[]
}

/** What `GET /.well-known/acme-challenge/<token>` on port 80 of this host is answered with (RFC 8555 8.3), whoever the host belongs to. */
export interface Challenge {
  host: string
  token: string
  authorization: string
}

export interface AppRoute {
  /** App id. */
  id: string
  name: string
  /** Lower case, without port; `*.example.com` matches any name below, exact names win, longer patterns win. */
  hosts: string[]
  /** Certificates for some of these hosts; the others get the platform's own. */
  certificates: { id: string; hosts: string[] }[]
  maintenance: boolean
  /** A client that keeps cookies stays with the backend that it was served by first. */
  affinity?: boolean
  /** Pages in place of Heroku's own, as URLs. */
  errorPage?: string
  maintenancePage?: string
  /** `http:` is answered with a redirect to `https:`. */
  redirect?: boolean
  /** max-age of Strict-Transport-Security in responses over TLS, seconds. */
  hsts?: number
  /** How long a request waits when every backend is gone for a moment (a restart, a wake-up), ms; the router's own bound when absent. */
  hold?: number
  /** How long WebSockets and other tunnels may stay with a backend in mode `drain`, ms; the router's own bound when absent. */
  grace?: number
  /** A connection of its own to the dyno for each request (Heroku's http-disable-keepalive-to-dyno). */
  fresh?: boolean
  /** `Expect: 100-continue` is the dyno's to answer (Heroku's http-end-to-end-continue). */
  passContinue?: boolean
  /** It is no app but the platform's own API, and this tells the daemon that a request comes by a router. No log lines: links are secrets. */
  platform?: string
  /** What to answer when no backend serves: H81, H14, H10, or wait for a starting one (H20). */
  empty: 'blank' | 'none' | 'crashed' | 'starting'
  backends: Backend[]
}

export interface Backend {
  /** Dyno id. */
  id: string
  /** `web.1`, for log lines. */
  dyno: string
  /** IP address or name, and port. */
  address: string
  port: number
  /**
   * `probe`: try to connect until it accepts, or until its check passes, tell `health`; gets no requests. `serve`: gets requests.
   * `drain`: gets no new requests, running ones go on; tell `drained` when none is left.
   */
  mode: 'probe' | 'serve' | 'drain'
  /** In mode `probe` it is up when it has passed all of them; in mode `serve` those that go on tell whether it is well. */
  checks?: Checks
}

export type { Check, Checks, Failing, Watch, WatchKind }

/** So many of an app's backends are out that it is a shared cause, or the router's view that is wrong: then all of them get requests. */
export const panics = (out: number, all: number): boolean => out * 2 > all

/** For a TLS server: PEM texts, the site's own certificate first. */
export interface Certificate {
  id: string
  chain: string
  key: string
}

/** By id. */
export type Certificates = ReadonlyMap<string, Certificate>

/** Of these certificates those that a host of the table is bound to. */
export function namedBy(table: Table, certificates: Certificates): Map<string, Certificate> {
  const ids = new Set(table.apps.flatMap((app) => app.certificates.map(({ id }) => id)))
  return new Map([...certificates].filter(([id]) => ids.has(id)))
}

export type Down =
  | { kind: 'table'; table: Table }
  | { kind: 'change'; change: TableChange }
  | { kind: 'certificate'; certificate: Certificate }

/** Who a router is, so that one that is partitioned away is told apart from one that has never been. */
export interface Identity {
  /** Stays with its data directory. */
  id: string
  /** The machine's name. */
  host: string
  pid: number
  /** Processes that take requests. */
  workers: number
}

/** How a backend's drain ended, in requests and tunnels. */
export interface Receipt {
  /** Running when its drain began. */
  inFlight: number
  /** Of these: ended by themselves, closed by us at the end of the grace period, broken off. */
  finished: number
  cut: number
  failed: number
  /** ms from the mode `drain` to the last end */
  took: number
}

export type Up =
  | { kind: 'hello'; protocol: number; applied: number; certificates: string[]; router: Identity }
  | { kind: 'whole' }
  | { kind: 'applied'; version: number }
  | { kind: 'refused'; version: number; reason: string }
  | { kind: 'health'; backend: string; up: boolean; reason: string }
  /** `reason`: null when it passes. */
  | { kind: 'check'; backend: string; check: WatchKind; reason: string | null }
  | { kind: 'failing'; checks: Failing[] }
  | { kind: 'drained'; backend: string; receipt: Receipt }
  | { kind: 'log'; lines: LogLine[]; dropped: number }

export interface LogLine {
  /** App id. */
  app: string
  /** ms since the epoch */
  at: number
  /** Heroku's router line: `at=info method=GET path="/" ...` */
  text: string
}

/** The websocket's close code of a router whose successor, with the same id, is about to connect. */
export const HANDOVER = 4001

/** The close code of a daemon to which a router with the same id has connected since. */
export const REPLACED = 4002

/** Largest message either side takes, bytes. */
export const MAX_MESSAGE = 64 * 1024 * 1024

/** Parses one message from the daemon, or throws a TypeError that says what is wrong with it. */
export function parseDown(text: string): Down {
  const message = object(parseJson(text), 'message')
  switch (message.kind) {
    case 'table':
      return { kind: 'table', table: parseTable(message.table) }
    case 'change':
      return { kind: 'change', change: parseChange(message.change) }
    case 'certificate':
      return { kind: 'certificate', certificate: parseCertificate(message.certificate) }
    default:
      throw new TypeError(`unknown message kind ${JSON.stringify(message.kind)}`)
  }
}

export function parseTable(value: unknown): Table {
  const table = object(value, 'table')
  return {
    version: integer(table.version, 'version'),
    apps: list(table.apps, 'apps').map(parseApp),
    // A snapshot that an earlier version has written has none.
    challenges: list(table.challenges ?? [], 'challenges').map(parseChallenge),
  }
}

export function parseChange(value: unknown): TableChange {
  const change = object(value, 'change')
  const { version, apps, challenges } = parseTable(change)
  const base = integer(change.base, 'base')
  const gone = list(change.gone, 'gone').map((id) => string(id, 'gone'))
  if (base >= version) throw new TypeError('a change does not lead to a newer table')
  if (new Set([...apps.map(({ id }) => id), ...gone]).size < apps.length + gone.length)
    throw new TypeError('an app is twice in a change')
  return { version, base, apps, gone, challenges }
}

function parseChallenge(value: unknown): Challenge {
  const challenge = object(value, 'challenge')
  return {
    host: string(challenge.host, 'challenge.host'),
    token: string(challenge.token, 'token'),
    authorization: string(challenge.authorization, 'authorization'),
  }
}

/** No error repeats what was sent: it may be a key. */
export function parseCertificate(value: unknown): Certificate {
  const certificate = object(value, 'certificate')
  return {
    id: string(certificate.id, 'certificate.id'),
    chain: string(certificate.chain, 'chain'),
    key: string(certificate.key, 'key'),
  }
}

/** Parses one message from a router, or throws a TypeError that says what is wrong with it. */
export function parseUp(text: string): Up {
  const m = object(JSON.parse(text), 'message')
  switch (m.kind) {
    case 'hello':
      return {
        kind: 'hello',
        protocol: integer(m.protocol, 'protocol'),
        applied: integer(m.applied, 'applied'),
        certificates: list(m.certificates ?? [], 'certificates').map((id) => string(id, 'certificate')),
        router: parseIdentity(m.router),
      }
    case 'whole':
      return { kind: 'whole' }
    case 'applied':
      return { kind: 'applied', version: integer(m.version, 'version') }
    case 'refused':
      return { kind: 'refused', version: integer(m.version, 'version'), reason: string(m.reason, 'reason') }
    case 'health':
      return {
        kind: 'health',
        backend: string(m.backend, 'backend'),
        up: boolean(m.up, 'up'),
        reason: string(m.reason, 'reason'),
      }
    case 'check':
      return { kind: 'check', ...parseWord(m), reason: m.reason === null ? null : string(m.reason, 'reason') }
    case 'failing':
      return { kind: 'failing', checks: list(m.checks, 'checks').map(parseFailing) }
    case 'drained':
      return { kind: 'drained', backend: string(m.backend, 'backend'), receipt: parseReceipt(m.receipt) }
    case 'log':
      return { kind: 'log', lines: list(m.lines, 'lines').map(parseLine), dropped: integer(m.dropped, 'dropped') }
    default:
      throw new TypeError(`unknown message kind ${JSON.stringify(m.kind)}`)
  }
}

/** One that speaks an earlier protocol says nothing of itself; it is sent away for that, not for this. */
function parseIdentity(value: unknown): Identity {
  const router = object(value ?? {}, 'router')
  return {
    id: short(router.id ?? '', 'router.id'),
    host: short(router.host ?? '', 'router.host'),
    pid: integer(router.pid ?? 0, 'pid'),
    workers: integer(router.workers ?? 0, 'workers'),
  }
}

function parseFailing(value: unknown): Failing {
  const failing = object(value, 'check')
  return { ...parseWord(failing), reason: string(failing.reason, 'reason') }
}

const parseWord = ({ backend, check }: Record<string, unknown>) => ({
  backend: string(backend, 'backend'),
  check: oneOf(check, WATCHES, 'check'),
})

function parseReceipt(value: unknown): Receipt {
  const receipt = object(value, 'receipt')
  return {
    inFlight: integer(receipt.inFlight, 'inFlight'),
    finished: integer(receipt.finished, 'finished'),
    cut: integer(receipt.cut, 'cut'),
    failed: integer(receipt.failed, 'failed'),
    took: integer(receipt.took, 'took'),
  }
}

/** The object itself, once it has been looked through: to make all of 10,000 anew costs more than to read them. */
function parseApp(value: unknown): AppRoute {
  const app = object(value, 'app')
  string(app.id, 'app.id')
  string(app.name, 'app.name')
  checkHosts(app.hosts)
  // A snapshot that an earlier version has written has none.
  app.certificates ??= []
  for (const binding of list(app.certificates, 'certificates')) checkBinding(binding)
  boolean(app.maintenance, 'maintenance')
  for (const name in app) {
    const check = optional.get(name)
    if (check !== undefined && app[name] !== undefined) check(app[name], name)
  }
  oneOf(app.empty, EMPTY, 'empty')
  for (const backend of list(app.backends, 'backends')) checkBackend(backend)
  return app as unknown as AppRoute
}

const EMPTY: readonly AppRoute['empty'][] = ['blank', 'none', 'crashed', 'starting']
const MODES: readonly Backend['mode'][] = ['probe', 'serve', 'drain']

const optional = new Map<string, (value: unknown, name: string) => unknown>(
  Object.entries({
    ...{ affinity: boolean, redirect: boolean, fresh: boolean, passContinue: boolean },
    ...{ errorPage: string, maintenancePage: string, platform: string },
    ...{ hsts: integer, hold: integer, grace: integer },
  } satisfies { [name in OptionalOf<AppRoute>]: unknown }),
)

type OptionalOf<T> = { [name in keyof T]-?: undefined extends T[name] ? name : never }[keyof T]

function checkHosts(value: unknown): void {
  for (const host of list(value, 'hosts')) string(host, 'host')
}

function checkBinding(value: unknown): void {
  const binding = object(value, 'certificate')
  string(binding.id, 'certificate.id')
  checkHosts(binding.hosts)
}

function checkBackend(value: unknown): void {
  const backend = object(value, 'backend')
  string(backend.id, 'backend.id')
  string(backend.dyno, 'dyno')
  string(backend.address, 'address')
  port(backend.port)
  oneOf(backend.mode, MODES, 'mode')
  if (backend.checks !== undefined) parseChecks(backend.checks)
}

function parseLine(value: unknown): LogLine {
  const line = object(value, 'line')
  return { app: string(line.app, 'line.app'), at: integer(line.at, 'line.at'), text: string(line.text, 'line.text') }
}
