import type { Fields } from './fields.ts'

/** Strict-Transport-Security (RFC 6797): over TLS only, and an app's own field wins. Pure. */

const NAME = 'strict-transport-security'

/** The field to add to a response that has these; none when they have one. `seconds`: max-age, undefined for apps without. */
export function strictTransport(fields: Fields, seconds: number | undefined): Fields {
  if (seconds === undefined) return []
  for (let i = 0; i < fields.length; i += 3) if (fields[i] === NAME) return []
  return [NAME, 'Strict-Transport-Security', `max-age=${seconds}`]
}
