import type { ServerResponse } from 'node:http'
import { UserError } from '../errors.ts'

/** The codes of https://distribution.github.io/distribution/spec/api/#errors-2 that are said here, and their status. */
const STATUS = {
  UNAUTHORIZED: 401,
  DENIED: 403,
  NAME_UNKNOWN: 404,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  MANIFEST_INVALID: 400,
  SIZE_INVALID: 400,
  UNSUPPORTED: 405,
  TOOMANYREQUESTS: 429,
  UNAVAILABLE: 503,
} as const

/** Docker shows the message of all of them but the last, and tries again after that alone. */
export class RegistryError extends Error {
  readonly code: keyof typeof STATUS
  constructor(code: keyof typeof STATUS, message: string, options: { cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
  }
}

/** In the registry's words, what the domain refuses; undefined for a fault of the platform. */
export function refusalOf(error: unknown): RegistryError | undefined {
  if (error instanceof RegistryError) return error
  if (!(error instanceof UserError)) return undefined
  return new RegistryError(error.id === 'not_found' ? 'NAME_UNKNOWN' : 'DENIED', error.message)
}

/** Answers with an error, unless an answer has begun: that is broken off, so that nobody takes it for whole. */
export function refuse(res: ServerResponse, { code, message }: RegistryError): void {
  if (res.headersSent) return void res.destroy()
  const body = JSON.stringify({ errors: [{ code, message, detail: null }] })
  if (code === 'UNAUTHORIZED') res.setHeader('www-authenticate', 'Basic realm="Sluice"')
  res.writeHead(STATUS[code], {
    ...HEADERS,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  })
  res.end(body)
}

/** By which clients know that they have found a registry. */
export const HEADERS = { 'docker-distribution-api-version': 'registry/2.0' } as const
