/**
 * The control protocol between a router and the daemon: JSON text messages over one websocket that the router opens to
 * `/routers` with `Authorization: Bearer <router token>`. Down goes the whole wanted table, up come answers and facts.
 *
 *   router                          daemon
 *     | -- hello {protocol, applied} -> |
 *     | <- table {version, apps} ------ |   always the whole table; a newer one replaces one not yet applied
 *     | -- applied {version} ---------> |   from now on no request follows an older table
 *     | -- health {backend, up} ------> |   for backends in mode `probe`
 *     | -- drained {backend} ---------> |   for backends in mode `drain`, when the last request ended
 *     | -- log {lines, dropped} ------> |
 *
 * A router answers `refused` when it cannot apply a table and keeps the one it has. Every down message may be repeated.
 */
export const PROTOCOL = 1

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
  maintenance: boolean
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

export type Down = { kind: 'table'; table: Table }

export type Up =
  | { kind: 'hello'; protocol: number; applied: number }
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
  const message = object(JSON.parse(text), 'message')
  if (message.kind !== 'table') throw new TypeError(`unknown message kind ${JSON.stringify(message.kind)}`)
  const table = object(message.table, 'table')
  return {
    kind: 'table',
    table: { version: integer(table.version, 'version'), apps: list(table.apps, 'apps').map(parseApp) },
  }
}

/** Parses one message from a router, or throws a TypeError that says what is wrong with it. */
export function parseUp(text: string): Up {
  const m = object(JSON.parse(text), 'message')
  switch (m.kind) {
    case 'hello':
      return { kind: 'hello', protocol: integer(m.protocol, 'protocol'), applied: integer(m.applied, 'applied') }
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
    hosts: list(app.hosts, 'hosts').map((host) => string(host, 'host')),
    maintenance: boolean(app.maintenance, 'maintenance'),
    empty: oneOf(app.empty, ['blank', 'none', 'crashed', 'starting'], 'empty'),
    backends: list(app.backends, 'backends').map(parseBackend),
  }
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
