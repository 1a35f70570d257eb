import { type BlockList, isIP } from 'node:net'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { parseBalancers } from './gate.ts'

/** The router's settings, read once from the environment. */
export interface Config {
  /** Absolute path; the router reads the token and the certificate there and keeps its snapshot there. */
  data: string
  /** Addresses to listen on. */
  hosts: string[]
  httpPort: number
  tlsPort: number
  /** Where clients find it, when that is another one. */
  tlsPublicPort: number
  /** Load balancers whose connections begin with a PROXY header. */
  balancers: BlockList
  /** Where the daemon takes routers. */
  daemonUrl: string
  /** Processes that take requests. */
  workers: number
  /** Where /healthz and /metrics are; port 0: nowhere. */
  statusHost: string
  statusPort: number
  /** Sockets that whoever started us has opened; undefined when we open them ourselves. */
  inherited: Inherited | undefined
  /** systemd wants to be told. */
  notify: boolean
  /** How often systemd wants to hear of us, ms; 0: never. */
  watchdog: number
}

/** sd_listen_fds(3): so many descriptors from 3 on. */
export interface Inherited {
  count: number
  names: string[]
}

export const variables = {
  SLUICE_DATA: "the daemon's data directory (default: .sluice in the working directory)",
  SLUICE_ROUTER_HOST: 'addresses that the router listens on, comma-separated (default: 0.0.0.0,::)',
  SLUICE_HTTP_PORT: 'port for HTTP (default: 8080)',
  SLUICE_TLS_PORT: 'port for TLS (default: 8443)',
  SLUICE_TLS_PUBLIC_PORT: 'port for TLS as clients see it, for redirects (default: SLUICE_TLS_PORT)',
  SLUICE_PORT: "the daemon's port (default: 5000)",
  SLUICE_ROUTER_PROXY:
    'addresses and ranges of load balancers that speak the PROXY protocol, comma-separated (default: none)',
  SLUICE_ROUTER_TRANSPORT: '`net` for plain sockets; else handles, where this Node has them (default: handle)',
  SLUICE_DAEMON_URL: 'where the daemon is when it is not on this machine: wss://HOST:PORT',
  SLUICE_ROUTER_WORKERS: 'processes that take requests (default: as many as there are processors)',
  SLUICE_ROUTER_STATUS_HOST:
    'address of /healthz and /metrics; for the latter one that is not of the loopback wants the token (default: 127.0.0.1)',
  SLUICE_ROUTER_STATUS_PORT: 'port of both; 0 for none (default: 8081)',
} as const

type Environment = { [name: string]: string | undefined }

/** What carries connections without TLS. */
export const transport: 'handle' | 'net' = process.env.SLUICE_ROUTER_TRANSPORT === 'net' ? 'net' : 'handle'

export function readConfig(env: Environment = process.env, pid = process.pid): Config {
  const tlsPort = port('SLUICE_TLS_PORT', env.SLUICE_TLS_PORT, 8443)
  return {
    data: resolve(env.SLUICE_DATA || '.sluice'),
    hosts: (env.SLUICE_ROUTER_HOST || '0.0.0.0,::').split(',').map((host) => host.trim()),
    httpPort: port('SLUICE_HTTP_PORT', env.SLUICE_HTTP_PORT, 8080),
    tlsPort,
    tlsPublicPort: port('SLUICE_TLS_PUBLIC_PORT', env.SLUICE_TLS_PUBLIC_PORT, tlsPort),
    balancers: parseBalancers(env.SLUICE_ROUTER_PROXY || ''),
    daemonUrl: daemonUrl(env.SLUICE_DAEMON_URL || `ws://127.0.0.1:${port('SLUICE_PORT', env.SLUICE_PORT, 5000)}`),
    workers: whole('SLUICE_ROUTER_WORKERS', env.SLUICE_ROUTER_WORKERS, availableParallelism(), 1, MOST_WORKERS),
    statusHost: address('SLUICE_ROUTER_STATUS_HOST', env.SLUICE_ROUTER_STATUS_HOST || '127.0.0.1'),
    statusPort: port('SLUICE_ROUTER_STATUS_PORT', env.SLUICE_ROUTER_STATUS_PORT, 8081, 0),
    inherited: inherited(env, pid),
    notify: Boolean(env.NOTIFY_SOCKET),
    watchdog: env.NOTIFY_SOCKET ? Math.trunc(Number(env.WATCHDOG_USEC || 0) / 1000) : 0,
  }
}

const MOST_WORKERS = 256

/** For processes that we start: ours, without what is meant for this process alone. */
export const environmentWith = (more: Environment = {}): Environment => ({
  ...process.env,
  ...{ LISTEN_PID: undefined, LISTEN_FDS: undefined, LISTEN_FDNAMES: undefined },
  ...more,
})

function port(name: string, value: string | undefined, fallback: number, least = 1): number {
  if (!value) return fallback
  const number = Number(value)
  if (!Number.isInteger(number) || number < least || number > 65535)
    throw new Error(`${name} is "${value}"; it must be a port number between ${least} and 65535.`)
  return number
}

function address(name: string, value: string): string {
  if (isIP(value) === 0) throw new Error(`${name} is "${value}"; it must be an address such as 127.0.0.1 or 0.0.0.0.`)
  return value
}

function whole(name: string, value: string | undefined, fallback: number, least: number, most: number): number {
  if (!value) return fallback
  const number = Number(value)
  if (!Number.isInteger(number) || number < least || number > most)
    throw new Error(`${name} is "${value}"; it must be a whole number between ${least} and ${most}.`)
  return number
}

/** Token and keys go this way: in clear only where nobody listens. */
function daemonUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const local = url !== undefined && /^(127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/.test(url.hostname)
  if (url === undefined || !(url.protocol === 'wss:' || (url.protocol === 'ws:' && local)))
    throw new Error(`SLUICE_DAEMON_URL is "${text}"; it must be wss://HOST:PORT, or ws:// for this machine.`)
  if (url.pathname === '/') url.pathname = '/routers'
  return url.href
}

/** Descriptors that are meant for another process are none of ours. */
function inherited({ LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES }: Environment, pid: number): Inherited | undefined {
  if (LISTEN_PID !== String(pid)) return undefined
  return {
    count: whole('LISTEN_FDS', LISTEN_FDS, 0, 1, MOST_INHERITED),
    names: LISTEN_FDNAMES ? LISTEN_FDNAMES.split(':') : [],
  }
}

const MOST_INHERITED = 64
