import { createServer, type Server } from 'node:net'

export interface Ports {
  api: number
  http: number
  tls: number
}

/**
 * Apart from those of the berths, and below the range that connections go out from and `listen(0)` takes: whoever closes a port to open it
 * again, or to have it refuse, must not find somebody else there.
 */
const FIRST = 15_000
const BLOCKS = 150
const EACH = 100

let block: Promise<number> | undefined
let next = 0

/** One that is free now and that no other test takes. */
export async function freePort(): Promise<number> {
  block ??= takeBlock()
  const first = (await block) + 1
  for (let tried = 1; tried < EACH; tried++) {
    const port = first + (next++ % (EACH - 1))
    if (await isFree(port)) return port
  }
  throw new Error(`none of the ports from ${first} to ${first + EACH - 2} is free`)
}

/** Some, for what a platform talks to; its own are those of its berth. */
export async function freePorts(): Promise<Ports> {
  return { api: await freePort(), http: await freePort(), tls: await freePort() }
}

/** The first of ports that are this process's: it is held by listening on it, so they are given back whatever ends the process. */
async function takeBlock(): Promise<number> {
  const start = Math.floor(Math.random() * BLOCKS)
  for (let n = 0; n < BLOCKS; n++) {
    const first = FIRST + ((start + n) % BLOCKS) * EACH
    if (await hold(first)) return first
  }
  throw new Error(`somebody listens on the first port of each ${EACH} from ${FIRST} on`)
}

/** On 127.0.0.1 until this process ends; undefined when somebody has it. */
export const hold = (port: number): Promise<Server | undefined> =>
  new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy()).unref()
    server.once('error', () => resolve(undefined))
    server.listen(port, '127.0.0.1', () => resolve(server))
  })

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
