import type { ZodType } from 'zod'
import { invalid, UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Context } from './context.ts'

/** The request's JSON body in the form that `schema` gives it; an absent one counts as `{}`. */
export async function body<T>(ctx: Context, schema: ZodType<T>): Promise<T> {
  const bytes = await readAll(ctx, limits.jsonBody)
  if (bytes.length === 0) return schema.parse({})
  requireJson(ctx)
  return schema.parse(parseJson(bytes))
}

/**
 * All bytes of the request's body, of which there may be `most`. What is too large is read to its end, within bounds: who is cut off while
 * sending does not read why.
 */
export async function readAll(ctx: Context, most: number): Promise<Buffer> {
  let chunks: Buffer[] = []
  let size = 0
  const reading = (async () => {
    for await (const chunk of ctx.req as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > limits.bodyDiscarded) throw tooLarge(most)
      if (size > most) chunks = []
      else chunks.push(chunk)
    }
  })()
  await inTime(ctx, reading)
  if (size > most) throw tooLarge(most)
  return Buffer.concat(chunks)
}

const tooLarge = (most: number): UserError =>
  new UserError('request_too_large', `The request body may have ${most / 1024} KB.`)

async function inTime(ctx: Context, reading: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      // The rest is not waited for: the connection ends with the answer.
      ctx.set('Connection', 'close')
      reject(new UserError('request_timeout', `The request body did not come within ${limits.bodyTime / 1000} s.`))
    }, limits.bodyTime)
  })
  try {
    await Promise.race([reading, late])
  } finally {
    clearTimeout(timer)
    // When it was given up, its end with the connection is nobody's error.
    reading.catch(() => {})
  }
}

function requireJson(ctx: Context): void {
  const type = ctx.get('Content-Type')
  if (!/^application\/([\w.-]+\+)?json\s*(;|$)/i.test(type))
    throw new UserError('unsupported_media_type', 'Send the body as JSON, with `Content-Type: application/json`.')
  const encoding = ctx.get('Content-Encoding')
  if (encoding && encoding !== 'identity')
    throw new UserError('unsupported_media_type', 'Send the body without Content-Encoding.')
}

function parseJson(bytes: Buffer): unknown {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    const value: unknown = ODD.test(text) ? JSON.parse(text, refuseOdd) : JSON.parse(text)
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw invalid('The request body must be a JSON object.')
    return value
  } catch (error) {
    if (error instanceof UserError) throw error
    throw new UserError('bad_request', 'The request body is not valid JSON in UTF-8.', { cause: error })
  }
}

/**
 * Half of a surrogate pair can be written in JSON, but not in UTF-8: it would be stored as something else. `__proto__` is dropped on the
 * way by whoever copies objects: it would be accepted, and not be there.
 */
const ODD = /\\u[dD][89a-fA-F]|__proto__/
const HALF = /\p{Surrogate}/u

function refuseOdd(key: string, value: unknown): unknown {
  if (HALF.test(key) || (typeof value === 'string' && HALF.test(value)))
    throw invalid('The request body has half of a surrogate pair (\\ud800 to \\udfff alone), which is no text.')
  if (key === '__proto__') throw invalid('Nothing can be called __proto__.')
  return value
}
