import { createServer } from 'node:net'

export interface Ports {
  api: number
  http: number
  tls: number
}

/** Apart from those of the berths, and below the ephemeral range. */
const FIRST = 15_000
const COUNT = 15_000

/** Some that are free now, for what a platform talks to; its own are those of its berth. */
export async function freePorts(): Promise<Ports> {
  const [api = 0, http = 0, tls = 0] = await firstFree(3, FIRST + Math.floor(Math.random() * (COUNT - 100)), 100)
  return { api, http, tls }
}

/** The first `wanted` ports that are free among `count` from `from` on; rejects when there are not so many. */
export async function firstFree(wanted: number, from: number, count: number): Promise<number[]> {
  const found: number[] = []
  for (let port = from; port < from + count && found.length < wanted; port++) if (await isFree(port)) found.push(port)
  if (found.length < wanted)
    throw new Error(`of the ports from ${from} to ${from + count - 1} only ${found.length} are free`)
  return found
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, () => server.close(() => resolve(true)))
  })
