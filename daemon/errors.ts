/**
 * An error with two readers: `message` is a sentence for the user (what is wrong and what to do next), `cause` is for the log.
 * The ids are Heroku's and never change (https://devcenter.heroku.com/articles/platform-api-reference#error-responses).
 */
export type ErrorId =
  | 'bad_request'
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'not_acceptable'
  | 'method_not_allowed'
  | 'request_timeout'
  | 'conflict'
  | 'gone'
  | 'precondition_failed'
  | 'request_too_large'
  | 'requested_range_not_satisfiable'
  | 'unsupported_media_type'
  | 'invalid_params'
  | 'rate_limit'
  | 'internal_server_error'
  | 'maintenance'

export const STATUS: Record<ErrorId, number> = {
  bad_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  not_acceptable: 406,
  request_timeout: 408,
  conflict: 409,
  gone: 410,
  precondition_failed: 412,
  request_too_large: 413,
  unsupported_media_type: 415,
  requested_range_not_satisfiable: 416,
  invalid_params: 422,
  rate_limit: 429,
  internal_server_error: 500,
  maintenance: 503,
}

export class UserError extends Error {
  readonly id: ErrorId
  /** The kind of thing that was not found; some clients test it (`app`, `session`, `add_on`). */
  readonly resource: string | undefined
  /** Seconds after which it is worth another try. */
  readonly retryAfter: number | undefined
  constructor(id: ErrorId, message: string, options: { resource?: string; retryAfter?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'UserError'
    this.id = id
    this.resource = options.resource
    this.retryAfter = options.retryAfter
  }
}

/** Heroku's sentence for a thing that is not there, with the machine-readable kind beside it. */
export const notFound = (what: string, resource: string): UserError =>
  new UserError('not_found', `Couldn't find that ${what}.`, { resource })

export const invalid = (message: string): UserError => new UserError('invalid_params', message)

/** Whether it was thrown because a disk is full, by the system or by SQLite. */
export function isDiskFull(error: unknown): boolean {
  for (let one = error; one instanceof Object; one = (one as { cause?: unknown }).cause)
    if (FULL.has((one as { code?: unknown }).code)) return true
  return false
}

const FULL = new Set<unknown>(['ENOSPC', 'EDQUOT', 'SQLITE_FULL'])

/** The text of anything that was thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** The engine's words without the host's folders: those are nobody's business but the log's. */
export const withoutPaths = (text: string): string => text.replace(/(?:\/[\w.@+-]+){3,}\/?/g, '(path)')
