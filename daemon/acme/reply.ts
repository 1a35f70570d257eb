import { z } from 'zod'
import { Problem, problemOf, retryAfter } from './problem.ts'
import type { Reply } from './transport.ts'

/** What an authority's answer says: pure, and strict. Everything throws Problem. */

export const url = z.url({ protocol: /^https$/ }).max(2000)

/** Whoever has no good place for what is optional gives certificates all the same. */
export const Directory = z.object({
  ...{ newNonce: url, newAccount: url, newOrder: url },
  renewalInfo: url.optional().catch(undefined),
})

export function succeeded(reply: Reply): Reply {
  if (reply.status < 300) return reply
  const otherwise = `The authority answered with status ${reply.status}.`
  throw problemOf(json(reply), otherwise, retryAfter(reply.header('retry-after'), Date.now()))
}

export function parse<T>(shape: z.ZodType<T>, reply: Reply): T {
  const parsed = shape.safeParse(json(reply))
  if (!parsed.success) throw notUnderstood()
  return parsed.data
}

export function json({ body }: Reply): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

export const notUnderstood = (): Problem =>
  new Problem(
    'authority',
    'The authority answered with something that is not ACME. Is SLUICE_ACME_DIRECTORY its directory?',
  )
