import { Agent, type IncomingMessage, request } from 'node:http'
import type { Socket } from 'node:net'
import { limits } from '../../limits.ts'
import type { Batch } from './batch.ts'
import { DeliveryError, type Dialer, withDeadline } from './dial.ts'
import { type Receiver, Unwanted } from './receiver.ts'
import type { DrainUrl } from './url.ts'

/**
 * One POST a batch over a connection that is kept, as https://github.com/heroku/logplex/blob/master/doc/README.http_drains.md has it.
 * An answer of 2xx is the receipt; redirects are not followed, because they could lead to where drains may not go.
 */
export function createHttpReceiver(dialer: Dialer, url: DrainUrl, token: string): Receiver {
  const life = new AbortController()
  const agent = new Agent({ keepAlive: true, maxSockets: 1, timeout: limits.drainIdle })
  const createConnection = (_: unknown, done: (error: unknown, socket?: Socket) => void): void => {
    dialer.dial(url, life.signal).then((socket) => done(null, socket), done)
  }
  Object.assign(agent, { createConnection })
  return {
    async send(batch, signal) {
      const late = new DeliveryError('L13', `no answer within ${limits.drainSend / 1000} seconds`)
      const status = await withDeadline(limits.drainSend, late, signal, (either) =>
        post({ agent, url, token, signal: either }, batch),
      )
      if (status >= 200 && status < 300) return
      const words = `answered with status ${status}`
      throw UNWANTED.includes(status) ? new Unwanted('L13', words) : new DeliveryError('L13', words)
    },
    repeat: () => Promise.resolve(),
    async close() {
      life.abort()
      agent.destroy()
    },
  }
}

/** These are about the batch. Others, such as a wrong password, may be right the next time, so that it is kept. */
const UNWANTED = [400, 413, 415, 422]

interface Post {
  agent: Agent
  url: DrainUrl
  token: string
  signal: AbortSignal
}

/** The status of the answer; its body is not looked at. */
function post({ agent, url, token, signal }: Post, batch: Batch): Promise<number> {
  const host = url.host.includes(':') ? `[${url.host}]` : url.host
  const headers = {
    Host: url.port === (url.scheme === 'https' ? 443 : 80) ? host : `${host}:${url.port}`,
    'Content-Type': 'application/logplex-1',
    'Content-Length': batch.body.length,
    'Logplex-Msg-Count': batch.count,
    'Logplex-Frame-Id': batch.id,
    'Logplex-Drain-Token': token,
    'User-Agent': 'Sluice',
    ...(url.authorization === undefined ? {} : { Authorization: url.authorization }),
  }
  return new Promise((resolve, reject) => {
    let answered = false
    const sent = request({ agent, method: 'POST', path: url.path, headers, signal })
    sent.on('error', reject)
    sent.on('response', (answer) => {
      answered = true
      answer.on('error', () => undefined).on('close', () => resolve(answer.statusCode ?? 0))
      skip(answer)
    })
    // A connection that became another protocol's has no answer.
    sent.on('close', () => {
      if (!answered) reject(new DeliveryError('L13', 'connection closed without an answer'))
    })
    sent.end(batch.body)
  })
}

/** Reads to the end, so that the connection can be used again, within bounds. */
function skip(answer: IncomingMessage): void {
  let bytes = 0
  answer.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > limits.drainAnswer) answer.destroy()
  })
}
