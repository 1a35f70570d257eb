import type { IncomingMessage } from 'node:http'
import { Agent, request } from 'node:https'
import { createSecureContext, rootCertificates } from 'node:tls'
import { messageOf } from '../errors.ts'
import { limits } from '../limits.ts'
import { Problem } from './problem.ts'

export interface Reply {
  status: number
  header(name: string): string | undefined
  body: string
}

/** One request to an authority: bounded in time and size, over TLS that is verified. Rejects with Problem. */
export type Ask = (url: string, signal: AbortSignal, body?: string) => Promise<Reply>

/** `authorities`: PEM texts that are trusted beside Node.js's own. */
export function createAsk(authorities: readonly string[]): Ask {
  let agent: Agent | undefined
  return async (url, signal, body) => {
    const { host } = new URL(url)
    agent ??= new Agent({ secureContext: createSecureContext({ ca: [...rootCertificates, ...authorities] }) })
    try {
      return await exchange(url, AbortSignal.any([signal, AbortSignal.timeout(limits.acmeAnswer)]), { agent, body })
    } catch (error) {
      if (signal.aborted || error instanceof Problem) throw error
      throw new Problem('authority', `The authority at ${host} cannot be reached: ${messageOf(error)}`)
    }
  }
}

function exchange(
  url: string,
  signal: AbortSignal,
  { agent, body }: { agent: Agent; body: string | undefined },
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const method = body === undefined ? 'GET' : 'POST'
    const headers = {
      'User-Agent': 'sluice',
      ...(body === undefined ? {} : { 'Content-Type': 'application/jose+json' }),
    }
    const asking = request(url, { method, headers, signal, agent }, (response) => {
      read(response).then(resolve, reject)
    })
    asking.once('error', reject)
    asking.end(body)
  })
}

async function read(response: IncomingMessage): Promise<Reply> {
  const pieces: Buffer[] = []
  let length = 0
  for await (const piece of response) {
    length += (piece as Buffer).length
    if (length > limits.acmeAnswerSize) throw new Problem('authority', 'The authority answered with more than it may.')
    pieces.push(piece as Buffer)
  }
  const header = (name: string) => {
    const value = response.headers[name]
    return Array.isArray(value) ? value[0] : value
  }
  return { status: response.statusCode ?? 0, header, body: Buffer.concat(pieces).toString('utf8') }
}
