import { Agent } from 'node:http'
import { type Reply, requestHost } from './client.ts'

export interface Failure {
  /** ms since the load began. */
  at: number
  connection: 'kept' | 'new'
  reason: string
}

export interface Result {
  requests: number
  failures: Failure[]
}

export interface Load {
  sent(): number
  /** When an answer with this body was first and last seen, ms since the epoch. */
  seen(body: string): { first: number; last: number } | undefined
  /** Sends no more, waits for the answers under way, and tells what happened. */
  stop(): Promise<Result>
}

const RATE = 50
const MOST_IN_FLIGHT = 1000

/** Fifty requests a second, or `rate`, for `host`, every other one on a connection of its own; each answer must be right. */
export function startLoad(
  port: number,
  host: string,
  right: (reply: Reply) => boolean = ({ status, body }) => status === 200 && /^v\d+/.test(body),
  rate: number = RATE,
): Load {
  const tick = 1000 / rate
  // Each connection in its turn, so that none is idle until the router closes it.
  const agent = new Agent({ keepAlive: true, maxSockets: 50, scheduling: 'fifo' })
  const began = Date.now()
  const failures: Failure[] = []
  const bodies = new Map<string, { first: number; last: number }>()
  const flying = new Set<Promise<void>>()
  let requests = 0

  const send = async (connection: Failure['connection']) => {
    const sentAt = Date.now()
    const fail = (reason: string) => failures.push({ at: sentAt - began, connection, reason })
    try {
      const reply = await requestHost(port, host, '/', { agent: connection === 'kept' && agent, timeout: 35_000 })
      if (!right(reply)) fail(`${reply.status} ${reply.body.slice(0, 120)}`)
      else note(reply.body, Date.now())
    } catch (error) {
      const { code = '', message } = error as NodeJS.ErrnoException
      fail(`${code} ${message} after ${Date.now() - sentAt} ms`)
    }
  }
  const note = (body: string, now: number) => {
    const before = bodies.get(body)
    if (before) before.last = now
    else bodies.set(body, { first: now, last: now })
  }
  const timer = setInterval(() => {
    const due = Math.floor((Date.now() - began) / tick)
    for (; requests < due; requests++) {
      const connection = requests % 2 === 0 ? 'kept' : 'new'
      if (flying.size >= MOST_IN_FLIGHT) {
        failures.push({ at: Date.now() - began, connection, reason: 'too many answers are outstanding' })
        continue
      }
      const sent: Promise<void> = send(connection).finally(() => flying.delete(sent))
      flying.add(sent)
    }
  }, tick)

  return {
    sent: () => requests,
    seen: (body) => bodies.get(body),
    async stop() {
      clearInterval(timer)
      await Promise.all(flying)
      agent.destroy()
      return { requests, failures }
    },
  }
}

/** For an assertion that says what went wrong: the number of failures, and the first few. */
export const describe = ({ requests, failures }: Result): string =>
  [
    `${failures.length} of ${requests} requests failed`,
    ...failures.slice(0, 10).map(({ at, connection, reason }) => `  at ${at} ms, ${connection} connection: ${reason}`),
  ].join('\n')

/** Does it while these are under way, by app, of which no request may fail. Who reads what went wrong reads that of the work first, then of the requests. */
export async function underLoad(loads: Record<string, Load>, work: () => Promise<void>): Promise<void> {
  let error: Error | undefined
  await work().catch((its: Error) => {
    error = its
  })
  const lost: string[] = []
  for (const [app, load] of Object.entries(loads)) {
    const result = await load.stop()
    if (result.failures.length > 0) lost.push(`${app}: ${describe(result)}`)
  }
  if (lost.length > 0) {
    error ??= new Error('Requests failed.')
    error.message = [error.message, ...lost].join('\n')
  }
  if (error) throw error
}
