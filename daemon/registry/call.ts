import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { type Readable, Transform } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import type { Account } from '../account/account.ts'
import type { App } from '../app/app.ts'
import { limits } from '../limits.ts'
import type { Component } from './component.ts'
import { HEADERS, RegistryError } from './refusal.ts'

/** A request about one repository, by somebody who may make it. */
export interface Call {
  account: Account
  app: App
  type: string
  /** `app/type`, in the client's words and in the component's. */
  name: string
  repository: string
  /** The path below the repository, and what it names. */
  rest: string
  reference: string
  query: URLSearchParams
  req: IncomingMessage
  res: ServerResponse
  /** Aborted when the client has gone. */
  signal: AbortSignal
}

/** What the component is told of a request. */
const PASSED = [
  'accept',
  'content-type',
  'content-length',
  'content-range',
  'range',
  'if-none-match',
  'if-range',
] as const
/** What is between two machines, not between two ends. */
const HOPS = new Set(['connection', 'keep-alive', 'transfer-encoding', 'date'])

interface More {
  query?: URLSearchParams
  headers?: OutgoingHttpHeaders
  body?: Readable | Buffer
}

/** Sends the request on, to the component's name of the repository. */
export function forward(
  component: Component,
  { req, repository, rest, signal }: Call,
  { query = new URLSearchParams(), headers = {}, body }: More = {},
): Promise<IncomingMessage> {
  const passed = Object.fromEntries(PASSED.flatMap((name) => (req.headers[name] ? [[name, req.headers[name]]] : [])))
  const path = `/v2/${repository}/${rest}${query.size > 0 ? `?${query}` : ''}`
  const length =
    body === undefined ? { 'content-length': req.method === 'GET' || req.method === 'HEAD' ? undefined : 0 } : {}
  const own = Object.entries({ ...passed, ...length, ...headers }).filter(([, value]) => value !== undefined)
  return component.send({
    method: req.method ?? 'GET',
    path,
    headers: Object.fromEntries(own),
    signal,
    ...(body === undefined ? {} : { body }),
  })
}

/** Answers with what the component answered, as fast as the client reads, in the client's words. */
export async function pass({ req, res, name, repository }: Call, answer: IncomingMessage): Promise<void> {
  const status = answer.statusCode ?? 502
  const headers: OutgoingHttpHeaders = { ...HEADERS }
  for (const [key, value] of Object.entries(answer.headers)) if (!HOPS.has(key)) headers[key] = value
  const { location, link } = answer.headers
  if (location !== undefined) headers.location = localPath(location).replace(`/v2/${repository}/`, `/v2/${name}/`)
  if (link !== undefined) headers.link = String(link).replace(`/v2/${repository}/`, `/v2/${name}/`)
  const words = status >= 400 || /\/tags\/list$/.test((req.url ?? '').split('?')[0] ?? '')
  if (!words || req.method === 'HEAD') {
    res.writeHead(status, headers)
    return pipeline(answer, flow({ most: Number.POSITIVE_INFINITY }), res)
  }
  const body = String(await whole(answer)).replaceAll(repository, name)
  res.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) })
  res.end(body)
}

/** A path of the component without its address; what leads elsewhere (to a store of blobs) stays as it is. */
export const localPath = (location: string): string => location.replace(/^https?:\/\/[^/]+(?=\/v2\/)/, '')

/** All of a request or an answer that is to be understood here: at most limits.manifestBytes. */
export function whole(from: IncomingMessage): Promise<Buffer> {
  const through = flow({ most: limits.manifestBytes })
  from.on('error', (error) => through.destroy(error)).pipe(through)
  return buffer(through)
}

interface Bounds {
  most: number
  /** Is told of each chunk, and may refuse it. */
  each?: (bytes: number) => Promise<void>
  stall?: number
}

/** Lets so many bytes through. Throws RegistryError for more, and when nothing has moved for `stall` ms, to whoever reads by then. */
export function flow({ most, each = async () => {}, stall: time = limits.registryStall }: Bounds): Transform {
  let count = 0
  const through = new Transform({
    transform(chunk: Buffer, _, done) {
      stall.refresh()
      count += chunk.length
      if (count > most) return done(new RegistryError('SIZE_INVALID', 'This is larger than what may be pushed.'))
      each(chunk.length).then(
        () => done(null, chunk),
        (error) => done(error),
      )
    },
  })
  const stall = setTimeout(
    () => through.destroy(new RegistryError('UNAVAILABLE', 'Nothing has been sent or read for too long.')),
    time,
  )
  through.once('close', () => clearTimeout(stall))
  through.on('error', () => {})
  return through
}
