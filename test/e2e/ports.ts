import { createServer } from 'node:net'

export interface Ports {
  api: number
  http: number
  tls: number
}

/** Below the ephemeral range: a connection of the load must not take the daemon's port while the daemon is down. */
export async function freePorts(): Promise<Ports> {
  const found: number[] = []
  while (found.length < 3) {
    const port = 15_000 + Math.floor(Math.random() * 15_000)
    if (!found.includes(port) && (await isFree(port))) found.push(port)
  }
  const [api = 0, http = 0, tls = 0] = found
  return { api, http, tls }
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, () => server.close(() => resolve(true)))
  })
