import { createHash } from 'node:crypto'

/** A time as the API writes it. */
export const time = (ms: number): string => new Date(ms).toISOString()

export const timeOrNull = (ms: number | null): string | null => (ms === null ? null : time(ms))

/** The id of a thing that has a name but no row (a region, a stack, a dyno size): the same on every host, a name-based UUID (RFC 9562, version 5). */
export function idOf(kind: string, name: string): string {
  const key = `${kind}:${name}`
  const id = ids.get(key) ?? nameBased(key)
  if (ids.size < 1000) ids.set(key, id)
  return id
}

/** Lists say the same few ids again and again. */
const ids = new Map<string, string>()

function nameBased(key: string): string {
  const hex = createHash('sha1').update(`sluice:${key}`).digest('hex')
  const variant = ((Number.parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80).toString(16)
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `5${hex.slice(13, 16)}`,
    variant + hex.slice(18, 20),
    hex.slice(20, 32),
  ].join('-')
}

/** How such a thing appears inside others. */
export const named = (kind: string, name: string): { id: string; name: string } => ({ id: idOf(kind, name), name })

/** What is left until then, or null for things that do not end. */
export const secondsUntil = (ms: number | null, now: number): number | null =>
  ms === null ? null : Math.max(0, Math.round((ms - now) / 1000))
