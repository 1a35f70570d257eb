import type { Context } from './context.ts'
import { cut, type Keys, parseRange } from './range.ts'

/** The part of a list that the request's Range asks for: 206 and Next-Range when there is more. The first key is the default order. */
export function page<T extends { id: string }>(ctx: Context, items: readonly T[], keys: Keys<T>): T[] {
  const attributes = Object.keys(keys)
  const { items: part, nextRange, contentRange } = cut(items, parseRange(ctx.get('Range'), attributes), keys)
  ctx.set('Accept-Ranges', attributes.join(', '))
  if (contentRange) ctx.set('Content-Range', contentRange)
  if (nextRange) {
    ctx.set('Next-Range', nextRange)
    ctx.status = 206
  }
  return part
}

/** Keys that every row has. */
export const rowKeys = {
  id: ({ id }: { id: string }) => id,
  created_at: ({ created_at }: { created_at: number }) => created_at,
  updated_at: ({ updated_at }: { updated_at: number }) => updated_at,
}
