import { resolve } from 'node:path'

/** The router's settings, read once from the environment. */
export interface Config {
  /** Absolute path; the router reads the token and the certificate there and keeps its snapshot there. */
  data: string
  /** Addresses to listen on. */
  hosts: string[]
  httpPort: number
  tlsPort: number
  /** Port of the daemon on this machine. */
  daemonPort: number
}

export const variables = {
  SLUICE_DATA: "the daemon's data directory (default: .sluice in the working directory)",
  SLUICE_ROUTER_HOST: 'addresses that the router listens on, comma-separated (default: 0.0.0.0,::)',
  SLUICE_HTTP_PORT: 'port for HTTP (default: 8080)',
  SLUICE_TLS_PORT: 'port for TLS (default: 8443)',
  SLUICE_PORT: "the daemon's port (default: 5000)",
} as const

type Environment = Partial<Record<keyof typeof variables, string>>

export function readConfig(env: Environment = process.env as Environment): Config {
  return {
    data: resolve(env.SLUICE_DATA || '.sluice'),
    hosts: (env.SLUICE_ROUTER_HOST || '0.0.0.0,::').split(','),
    httpPort: port('SLUICE_HTTP_PORT', env.SLUICE_HTTP_PORT, 8080),
    tlsPort: port('SLUICE_TLS_PORT', env.SLUICE_TLS_PORT, 8443),
    daemonPort: port('SLUICE_PORT', env.SLUICE_PORT, 5000),
  }
}

function port(name: string, value: string | undefined, fallback: number): number {
  if (!value) return fallback
  const number = Number(value)
  if (!Number.isInteger(number) || number < 1 || number > 65535)
    throw new Error(`${name} is "${value}"; it must be a port number between 1 and 65535.`)
  return number
}
