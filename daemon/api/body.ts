import type { ZodType } from 'zod'
import { invalid, UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Context } from './context.ts'

/** The request's JSON body in the form that `schema` gives it; an absent one counts as `{}`. */
export async function body<T>(ctx: Context, schema: ZodType<T>): Promise<T> {
  const bytes = await readAll(ctx)
  if (bytes.length === 0) return schema.parse({})
  requireJson(ctx)
  return schema.parse(parseJson(bytes))
}

async function readAll(ctx: Context): Promise<Buffer> {
  if (Number(ctx.get('Content-Length') || 0) > limits.jsonBody) throw tooLarge(ctx)
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of ctx.req as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > limits.jsonBody) throw tooLarge(ctx)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** The rest of the body is not read: the connection ends with the answer. */
function tooLarge(ctx: Context): UserError {
  ctx.set('Connection', 'close')
  return new UserError('request_too_large', `The request body may have ${limits.jsonBody / 1024 / 1024} MB.`)
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
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    if (typeof value !== 'object' || value === null) throw invalid('The request body must be a JSON object.')
    return value
  } catch (error) {
    if (error instanceof UserError) throw error
    throw new UserError('bad_request', 'The request body is not valid JSON in UTF-8.', { cause: error })
  }
}
