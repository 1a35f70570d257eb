/** What values that come from elsewhere must be: each of these gives the value, or throws a TypeError that says its name. */

/** Without the words of the JSON parser, which repeat what they stumble over. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new TypeError('message is not JSON')
  }
}

export function object(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TypeError(`${name} is not an object`)
  return value as Record<string, unknown>
}

export function list(value: unknown, name: string): unknown[] {
  if (!Array.isArray(value)) throw new TypeError(`${name} is not a list`)
  return value
}

export function string(value: unknown, name: string): string {
  if (typeof value !== 'string') throw new TypeError(`${name} is not a string`)
  return value
}

/** It is kept and shown. */
export function short(value: unknown, name: string): string {
  const text = string(value, name)
  if (!/^[\x20-\x7e]{0,255}$/.test(text)) throw new TypeError(`${name} is not a short text`)
  return text
}

export function integer(value: unknown, name: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw new TypeError(`${name} is not an integer`)
  return value
}

export function port(value: unknown): number {
  const number = integer(value, 'port')
  if (number < 1 || number > 65_535) throw new TypeError('port is no port number')
  return number
}

export function boolean(value: unknown, name: string): boolean {
  if (typeof value !== 'boolean') throw new TypeError(`${name} is not true or false`)
  return value
}

export function oneOf<T extends string>(value: unknown, allowed: readonly T[], name: string): T {
  if (!allowed.includes(value as T)) throw new TypeError(`${name} is none of ${allowed.join(', ')}`)
  return value as T
}
