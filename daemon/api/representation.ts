import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { Middleware } from 'koa'
import { version } from '../version.ts'

const MEDIA_TYPE = 'application/vnd.heroku+json; version=3; charset=utf-8'

/** Writes objects as JSON of Heroku's media type; a reader that has it already (If-None-Match) gets 304. */
export const representation: Middleware = async (ctx, next) => {
  ctx.set('X-Content-Type-Options', 'nosniff')
  ctx.set('Sluice-Version', version)
  await next()
  const { body } = ctx
  if (typeof body !== 'object' || body === null || Buffer.isBuffer(body) || body instanceof Readable) return
  const { status } = ctx
  const text = JSON.stringify(body)
  ctx.body = text
  ctx.status = status
  ctx.set('Content-Type', MEDIA_TYPE)
  ctx.set('Cache-Control', 'private, no-cache')
  if ((status !== 200 && status !== 206) || (ctx.method !== 'GET' && ctx.method !== 'HEAD')) return
  const modified = newest(body)
  if (modified > 0) ctx.set('Last-Modified', new Date(modified).toUTCString())
  if (status !== 200) return
  const tag = tagOf(text)
  ctx.set('ETag', tag)
  if (names(ctx.get('If-None-Match'), tag)) ctx.status = 304
}

/** The strong validator of what is sent. */
export const tagOf = (text: string | Buffer): string =>
  `"${createHash('sha256').update(text).digest('base64url').slice(0, 32)}"`

/** When the latest change was, ms; 0 for what has no times. It is told only: times of a second's precision do not tell versions apart. */
const newest = (body: object): number =>
  [body].flat().reduce((latest: number, { updated_at }: { updated_at?: unknown }) => {
    return typeof updated_at === 'string' ? Math.max(latest, Date.parse(updated_at)) : latest
  }, 0)

/** Weak comparison (RFC 9110, 13.1.2). The tag is of what was just read, so a client's Cache-Control changes nothing. */
export const names = (header: string, tag: string): boolean =>
  header.split(',').some((one) => ['*', tag].includes(one.trim().replace(/^W\//, '')))
