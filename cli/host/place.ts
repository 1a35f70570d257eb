import { settings } from '../settings.ts'

/** Where things of the platform are on this host. */
export interface Place {
  data: string
  /** The engine's socket. */
  engine: string
  api_port: number
  http_port: number
  tls_port: number
}

/** As the environment says; the daemon, when it answers, knows better. */
export const place = (): Place => ({
  ...{ data: settings.data, engine: process.env.SLUICE_ENGINE || '/var/run/docker.sock' },
  ...{ api_port: settings.apiPort, http_port: settings.httpPort, tls_port: settings.tlsPort },
})
