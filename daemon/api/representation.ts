import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { Middleware } from 'koa'

const MEDIA_TYPE = 'application/vnd.heroku+json; version=3; charset=utf-8'

/** Heroku's figure; requests are not counted yet, so nothing is ever used up. */
export const RATE_LIMIT = 4500

/** Writes objects as JSON of Heroku's media type; a reader that has it already (If-None-Match) gets 304. */
export const representation: Middleware = async (ctx, next) => {
  ctx.set('RateLimit-Remaining', String(RATE_LIMIT))
  ctx.set('X-Content-Type-Options', 'nosniff')
  await next()
  const { body } = ctx
  if (typeof body !== 'object' || body === null || Buffer.isBuffer(body) || body instanceof Readable) return
  const { status } = ctx
  const text = JSON.stringify(body)
  ctx.body = text
  ctx.status = status
  ctx.set('Content-Type', MEDIA_TYPE)
  ctx.set('Cache-Control', 'private, no-cache')
  if (status !== 200 || (ctx.method !== 'GET' && ctx.method !== 'HEAD')) return
  const tag = `"${createHash('sha256').update(text).digest('base64url').slice(0, 32)}"`
  ctx.set('ETag', tag)
  if (names(ctx.get('If-None-Match'), tag)) ctx.status = 304
}

/** Weak comparison (RFC 9110, 13.1.2). The tag is of what was just read, so a client's Cache-Control changes nothing. */
const names = (header: string, tag: string): boolean =>
  header.split(',').some((one) => ['*', tag].includes(one.trim().replace(/^W\//, '')))
