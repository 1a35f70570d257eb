import type { ClientRequest, IncomingHttpHeaders, RequestOptions } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { Failure } from './settings.ts'
import { agent } from './version.ts'

/** How long a connection may say nothing, ms, when nobody says otherwise: what takes longer sends signs of life. */
const SILENCE = 60_000
/** Pauses before another try, ms: a daemon that is restarted is back within them. */
const PAUSES = [100, 200, 400, 800, 1500]
/** Bytes of an answer that is read as a whole. */
const LONGEST = 64 * 1024 ** 2

export interface Asked {
  method: string
  headers?: Record<string, string>
  body?: string
  /** The platform's own authority, PEM, which is trusted beside those of Node. */
  ca?: string | undefined
  /** For what is no secret, and is verified afterwards. */
  unverified?: boolean
  /** False when an answer at once matters more than one at all. */
  patient?: boolean
  /** How long the connection may say nothing, ms. */
  silence?: number
}

export interface Answered {
  status: number
  headers: IncomingHttpHeaders
  text: string
}

/**
 * One request, and its whole answer. What was refused a connection has not reached anybody, so it is sent again; what may have is sent
 * again only when that changes nothing. Throws a Failure that says what to do.
 */
export async function request(url: string, asked: Asked): Promise<Answered> {
  for (let n = 0; ; n++) {
    const wait = asked.patient === false ? undefined : PAUSES[n]
    try {
      const answered = await once(url, asked)
      if (wait === undefined || !comesBack(asked, answered.status)) return answered
    } catch (error) {
      if (wait === undefined || !mayRepeat(asked, error)) throw failure(url, error)
    }
    await pause(wait)
  }
}

const SAFE = ['GET', 'HEAD']

/** A router whose daemon is restarted says so. */
const comesBack = ({ method }: Asked, status: number): boolean =>
  SAFE.includes(method) && (status === 502 || status === 503)

const mayRepeat = ({ method }: Asked, error: unknown): boolean =>
  codeOf(error) === 'ECONNREFUSED' || (SAFE.includes(method) && codeOf(error) === 'ECONNRESET')

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? ''

/** The platform's certificate is from nobody whom this machine trusts. */
export class Untrusted extends Failure {}

/** Names of the error that a certificate of nobody's that is trusted ends in. */
const UNTRUSTED = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]
const isUntrusted = (error: unknown): boolean => UNTRUSTED.includes(codeOf(error))

/** With the platform's own authority, and where that does not hold any more, with those that Node trusts. */
async function once(url: string, asked: Asked): Promise<Answered> {
  try {
    return await exchange(url, asked, asked.ca)
  } catch (error) {
    if (asked.ca === undefined || !isUntrusted(error)) throw error
    return exchange(url, asked, undefined)
  }
}

async function exchange(url: string, asked: Asked, ca: string | undefined): Promise<Answered> {
  const { request: open } = url.startsWith('https:') ? await import('node:https') : await import('node:http')
  const { method, body } = asked
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
  const headers = { 'user-agent': agent, ...asked.headers, ...length }
  const options: RequestOptions = {
    method,
    headers,
    timeout: asked.silence ?? SILENCE,
    ...(ca === undefined ? {} : { ca }),
    ...(asked.unverified ? { rejectUnauthorized: false } : {}),
  }
  return new Promise((resolve, reject) => {
    const sent: ClientRequest = open(url, options, (response) => {
      const chunks: Buffer[] = []
      let size = 0
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > LONGEST) sent.destroy(new Failure(`The answer of ${new URL(url).origin} is too long.`))
        else chunks.push(chunk)
      })
      response.on('error', reject)
      response.on('end', () => {
        const { statusCode: status = 0, headers } = response
        resolve({ status, headers, text: Buffer.concat(chunks).toString() })
      })
    })
    sent.on('timeout', () =>
      sent.destroy(new Failure(`${new URL(url).origin} says nothing. Try again, and look at the platform's log.`)),
    )
    sent.on('error', reject)
    sent.end(body)
  })
}

/** What ends a request without an answer, with the way out. */
function failure(url: string, error: unknown): Failure {
  if (error instanceof Failure) return error
  const { origin, hostname } = new URL(url)
  const code = codeOf(error)
  if (isUntrusted(error))
    return new Untrusted(
      `The certificate of ${origin} is from an authority that is not trusted here. Run: sluice login ${origin}`,
    )
  switch (code) {
    case 'ECONNREFUSED':
      return new Failure(`The platform does not answer at ${origin}. Is it started?`)
    case 'ECONNRESET':
      return new Failure(`The answer of ${origin} was cut off. The platform's log says why; then try again.`)
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new Failure(
        `There is no address for ${hostname} (${code}). Look at the name, and at this machine's network.`,
      )
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return new Failure(
        `The certificate of ${origin} is for other names. Use one of those: ${(error as Error).message}`,
      )
    case 'CERT_HAS_EXPIRED':
      return new Failure(`The certificate of ${origin} has ended. Whoever runs the platform renews it.`)
    default:
      return new Failure(`${origin} cannot be reached: ${(error as Error).message}`)
  }
}
