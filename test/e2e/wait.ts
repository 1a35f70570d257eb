import { setTimeout as delay } from 'node:timers/promises'

/**
 * Asks until `look` answers with something other than false, null or undefined, and returns that. The error at the deadline names
 * what was waited for and what was seen last.
 */
export async function waitFor<Seen>(
  what: string,
  look: () => Promise<Seen | false | null | undefined> | Seen | false | null | undefined,
  { within = 50_000, every = 50 }: { within?: number; every?: number } = {},
): Promise<Seen> {
  const deadline = Date.now() + within
  let last: unknown
  for (;;) {
    try {
      const seen = await look()
      if (seen !== false && seen !== null && seen !== undefined) return seen
      last = seen
    } catch (error) {
      last = error
    }
    if (Date.now() > deadline) throw new Error(`waited ${within / 1000} s for ${what}; last seen: ${String(last)}`)
    await delay(every)
  }
}
