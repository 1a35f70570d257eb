import type { Daemon } from '../../daemon.ts'
import { limits } from '../../limits.ts'

/**
 * A URL that is its own permission, as those that S3 signs: clients send sources and slugs to it, and fetch them, without a token. It
 * is good for one method on one path, and for limits.link.
 */
type Method = 'get' | 'put'

/** `api` is the API as the client reaches it. */
export function linkTo(d: Daemon, api: string, method: Method, path: string): string {
  const sealed = d.seal.seal(String(d.clock.now() + limits.link), context(method, path))
  return `${api}${path}?${new URLSearchParams({ key: sealed })}`
}

/** Whether `key` is what `linkTo` made for this, not too long ago. */
export function opens(d: Daemon, method: Method, path: string, key: string): boolean {
  try {
    return Number(d.seal.open(key, context(method, path))) > d.clock.now()
  } catch {
    return false
  }
}

const context = (method: Method, path: string): string => `link ${method} ${path}`
