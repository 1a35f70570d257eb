import { type RawBuilder, type SelectQueryBuilder, sql } from 'kysely'
import type { Schema } from '../store/schema.ts'
import type { Context } from './context.ts'
import { cut, type Edge, edges, firstPart, type Keys, type Page, parseRange } from './range.ts'

/** The part of a list that the request's Range asks for: 206 and Next-Range when there is more. The first key is the default order. */
export function page<T extends { id: string }>(ctx: Context, items: readonly T[], keys: Keys<T>): T[] {
  const attributes = Object.keys(keys)
  return tell(ctx, attributes, cut(items, parseRange(ctx.get('Range'), attributes), keys))
}

/** Columns by the attribute that they are in the rows. */
export type Columns<T> = { [Attribute in keyof T & string]?: string }

/** The same of a query, for lists that grow: only the rows of the part, and one more, are read. */
export async function pageOf<Tables extends keyof Schema, T extends { id: string }>(
  ctx: Context,
  query: SelectQueryBuilder<Schema, Tables, T>,
  columns: Columns<T> & { id: string },
): Promise<T[]> {
  const attributes = Object.keys(columns)
  const range = parseRange(ctx.get('Range'), attributes)
  const key = (row: T) => row[range.attribute as keyof T] as string | number
  const [column, id] = [columns[range.attribute as keyof T & string] ?? '', columns.id].map((name) => sql.ref(name))
  if (!column || !id) throw new Error('a list needs its columns')
  const [low, high] = edges(range)
  let wanted = query
    .clearOrderBy()
    .orderBy(column, range.order)
    .limit(range.max + 1)
  if (range.attribute !== 'id') wanted = wanted.orderBy(id, range.order)
  if (low) wanted = wanted.where(beyond(low, { column, id, sign: '>' }))
  if (high) wanted = wanted.where(beyond(high, { column, id, sign: '<' }))
  return tell(ctx, attributes, firstPart(await wanted.execute(), range, key))
}

function beyond(
  edge: NonNullable<Edge>,
  { column, id, sign }: { column: RawBuilder<unknown>; id: RawBuilder<unknown>; sign: '>' | '<' },
): RawBuilder<boolean> {
  const is = sql.raw(edge.exclusive ? sign : `${sign}=`)
  return edge.id === undefined
    ? sql<boolean>`${column} ${is} ${edge.key}`
    : sql<boolean>`(${column}, ${id}) ${is} (${edge.key}, ${edge.id})`
}

function tell<T>(ctx: Context, attributes: string[], { items, nextRange, contentRange }: Page<T>): T[] {
  ctx.set('Accept-Ranges', attributes.join(', '))
  if (contentRange) ctx.set('Content-Range', contentRange)
  if (nextRange) {
    ctx.set('Next-Range', nextRange)
    ctx.status = 206
  }
  return items
}

/** Keys that every row has. */
export const rowKeys = {
  id: ({ id }: { id: string }) => id,
  created_at: ({ created_at }: { created_at: number }) => created_at,
  updated_at: ({ updated_at }: { updated_at: number }) => updated_at,
}
