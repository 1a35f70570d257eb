import type { ZodType } from 'zod'
import { UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { readAll } from './body.ts'
import type { Context } from './context.ts'

/** The fields of an HTML form in the form that `schema` gives them; of those with one name, the last. */
export async function form<T>(ctx: Context, schema: ZodType<T>): Promise<T> {
  if (!/^application\/x-www-form-urlencoded\s*(;|$)/i.test(ctx.get('Content-Type')))
    throw new UserError('unsupported_media_type', 'Send the form as `application/x-www-form-urlencoded`.')
  const bytes = await readAll(ctx, limits.formBody)
  return schema.parse(Object.fromEntries(new URLSearchParams(bytes.toString('utf8'))))
}
