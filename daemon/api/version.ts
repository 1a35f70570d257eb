import type { Middleware } from 'koa'
import { UserError } from '../errors.ts'

/** Answers to any variant of version 3 (`version=3.sdk`), and to clients that take any JSON. */
export const version: Middleware = async (ctx, next) => {
  if (!accepts(ctx.get('Accept')))
    throw new UserError(
      'not_acceptable',
      'This API has version 3 only: send the header `Accept: application/vnd.heroku+json; version=3`.',
    )
  await next()
}

const OPEN = new Set(['*/*', 'application/*', 'application/json'])

export const accepts = (header: string): boolean =>
  header.trim() === '' ||
  header.split(',').some((range) => acceptsRange(range.split(';').map((part) => part.trim().toLowerCase())))

function acceptsRange([type = '', ...parameters]: string[]): boolean {
  if (OPEN.has(type)) return true
  if (type !== 'application/vnd.heroku+json') return false
  const version = parameters.find((parameter) => parameter.startsWith('version='))
  return version === undefined || /^version="?3(\.[\w-]+)*"?$/.test(version)
}
