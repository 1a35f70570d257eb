/**
 * The control protocol between a router and the daemon: JSON text messages over one websocket that the router opens to
 * `/routers` with `Authorization: Bearer <router token>`. Down goes the whole wanted table, up come answers and facts.
 *
 *   router                          daemon
 *     | -- hello {protocol, applied,    |
 *     |           certificates} ------> |   ids of the certificates that it has kept
 *     | <- certificate {id, chain, key} |   each that the next table names and this router has not got yet
 *     | <- table {version, apps} ------ |   always the whole table; a newer one replaces one not yet applied
 *     | -- applied {version} ---------> |   from now on no request follows an older table
 *     | -- health {backend, up} ------> |   for backends in mode `probe`
 *     | -- drained {backend} ---------> |   for backends in mode `drain`, when the last request ended
 *     | -- log {lines, dropped} ------> |
 *
 * A router answers `refused` when it cannot apply a table and keeps the one it has. Every down message may be repeated.
 *
 * A certificate never changes under its id, so it is sent once and kept as long as a table names it. A table may name one that has not
 * come, because it was removed meanwhile: its hosts get the platform's own. Keys travel in clear inside the websocket, which is loopback
 * or inside TLS.
 *
 * Daemon and router of one host are upgraded together. One that speaks another protocol is sent away; a router then serves on with the
 * table that it has. Protocol 2 brought certificates.
 */
export const PROTOCOL = 2

export interface Table {
  version: number
  apps: AppRoute[]
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
  /** What to answer when no backend serves: H81, H14, H10, or wait for a starting one (H20). */
  empty: 'blank' | 'none' | 'crashed' | 'starting'
  backends: Backend[]
}

export interface Backend {
  /** Dyno id. */
  id: string
  /** `web.1`, for log lines. */
  dyno: string
  /** IPv4 address or name, and port. */
  address: string
  port: number
  /**
   * `probe`: try to connect until it accepts, tell `health`; gets no requests. `serve`: gets requests.
   * `drain`: gets no new requests, running ones go on; tell `drained` when none is left.
   */
  mode: 'probe' | 'serve' | 'drain'
}

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

export type Down = { kind: 'table'; table: Table } | { kind: 'certificate'; certificate: Certificate }

export type Up =
  | { kind: 'hello'; protocol: number; applied: number; certificates: string[] }
  | { kind: 'applied'; version: number }
  | { kind: 'refused'; version: number; reason: string }
  | { kind: 'health'; backend: string; up: boolean; reason: string }
  | { kind: 'drained'; backend: string }
  | { kind: 'log'; lines: LogLine[]; dropped: number }

export interface LogLine {
  /** App id. */
  app: string
  /** ms since the epoch */
  at: number
  /** Heroku's router line: `at=info method=GET path="/" ...` */
  text: string
}

/** Largest message either side takes, bytes. */
export const MAX_MESSAGE = 64 * 1024 * 1024

/** Parses one message from the daemon, or throws a TypeError that says what is wrong with it. */
export function parseDown(text: string): Down {
  const message = object(parseJson(text), 'message')
  switch (message.kind) {
    case 'table':
      return { kind: 'table', table: parseTable(message.table) }
    case 'certificate':
      return { kind: 'certificate', certificate: parseCertificate(message.certificate) }
    default:
      throw new TypeError(`unknown message kind ${JSON.stringify(message.kind)}`)
  }
}

export function parseTable(value: unknown): Table {
  const table = object(value, 'table')
  return { version: integer(table.version, 'version'), apps: list(table.apps, 'apps').map(parseApp) }
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
      }
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
    case 'drained':
      return { kind: 'drained', backend: string(m.backend, 'backend') }
    case 'log':
      return { kind: 'log', lines: list(m.lines, 'lines').map(parseLine), dropped: integer(m.dropped, 'dropped') }
    default:
      throw new TypeError(`unknown message kind ${JSON.stringify(m.kind)}`)
  }
}

function parseApp(value: unknown): AppRoute {
  const app = object(value, 'app')
  return {
    id: string(app.id, 'app.id'),
    name: string(app.name, 'app.name'),
    hosts: hosts(app.hosts),
    // A snapshot that an earlier version has written has none.
    certificates: list(app.certificates ?? [], 'certificates').map(parseBinding),
    maintenance: boolean(app.maintenance, 'maintenance'),
    ...(app.affinity === undefined ? {} : { affinity: boolean(app.affinity, 'affinity') }),
    empty: oneOf(app.empty, ['blank', 'none', 'crashed', 'starting'], 'empty'),
    backends: list(app.backends, 'backends').map(parseBackend),
  }
}

const hosts = (value: unknown): string[] => list(value, 'hosts').map((host) => string(host, 'host'))

function parseBinding(value: unknown): AppRoute['certificates'][number] {
  const binding = object(value, 'certificate')
  return { id: string(binding.id, 'certificate.id'), hosts: hosts(binding.hosts) }
}

function parseBackend(value: unknown): Backend {
  const backend = object(value, 'backend')
  return {
    id: string(backend.id, 'backend.id'),
    dyno: string(backend.dyno, 'dyno'),
    address: string(backend.address, 'address'),
    port: integer(backend.port, 'port'),
    mode: oneOf(backend.mode, ['probe', 'serve', 'drain'], 'mode'),
  }
}

function parseLine(value: unknown): LogLine {
  const line = object(value, 'line')
  return { app: string(line.app, 'line.app'), at: integer(line.at, 'line.at'), text: string(line.text, 'line.text') }
}

/** Without the words of the JSON parser, which repeat what they stumble over. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new TypeError('message is not JSON')
  }
}

function object(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TypeError(`${name} is not an object`)
  return value as Record<string, unknown>
}

function list(value: unknown, name: string): unknown[] {
  if (!Array.isArray(value)) throw new TypeError(`${name} is not a list`)
  return value
}

function string(value: unknown, name: string): string {
  if (typeof value !== 'string') throw new TypeError(`${name} is not a string`)
  return value
}

function integer(value: unknown, name: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw new TypeError(`${name} is not an integer`)
  return value
}

function boolean(value: unknown, name: string): boolean {
  if (typeof value !== 'boolean') throw new TypeError(`${name} is not true or false`)
  return value
}

function oneOf<T extends string>(value: unknown, allowed: readonly T[], name: string): T {
  if (!allowed.includes(value as T)) throw new TypeError(`${name} is none of ${allowed.join(', ')}`)
  return value as T
}
