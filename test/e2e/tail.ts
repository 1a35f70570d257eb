import { get, type IncomingMessage } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { Platform } from './platform.ts'

/** A log session as a browser reads it: comes back by itself, whatever ended the connection, with the id of the last event. */
export interface Tail {
  /** `app[web.1]: text`, in the order in which they came. */
  lines: string[]
  /** How often it had to connect. */
  connections(): number
  close(): Promise<void>
}

const AGAIN = 100

export async function openTail(
  { api, ports }: Pick<Platform, 'api' | 'ports'>,
  app: string,
  asked: { lines?: number; dyno?: string } = {},
): Promise<Tail> {
  const path = `/apps/${app}/log-sessions`
  const { logplex_url } = await api<{ logplex_url: string }>('POST', path, { tail: true, lines: 1500, ...asked })
  const { pathname } = new URL(logplex_url)
  const closing = new AbortController()
  const lines: string[] = []
  let last: string | undefined
  let connections = 0
  const connect = () =>
    new Promise<void>((resolve) => {
      const headers = { accept: 'text/event-stream', ...(last === undefined ? {} : { 'last-event-id': last }) }
      const asking = get(
        { port: ports.api, host: '127.0.0.1', path: pathname, headers, signal: closing.signal },
        (answer) => {
          if (answer.statusCode === 200) connections++
          read(answer, (id, line) => {
            last = id
            lines.push(line)
          })
          answer.on('close', resolve)
        },
      )
      asking.on('error', () => resolve())
    })
  const running = (async () => {
    while (!closing.signal.aborted) {
      await connect()
      await delay(AGAIN, undefined, { signal: closing.signal }).catch(() => undefined)
    }
  })()
  return {
    lines,
    connections: () => connections,
    async close() {
      closing.abort()
      await running
    },
  }
}

/** Whole events only: one that a broken connection has cut off is sent again. */
function read(answer: IncomingMessage, event: (id: string, line: string) => void): void {
  let text = ''
  answer.on('error', () => undefined)
  answer.setEncoding('utf8').on('data', (chunk: string) => {
    const events = (text + chunk).split('\n\n')
    text = events.pop() ?? ''
    for (const one of events) {
      const [, id, line] = /^id: (\d+)\ndata: \S+ ([^\n]*)$/.exec(one) ?? []
      if (id !== undefined && line !== undefined) event(id, line)
    }
  })
}
