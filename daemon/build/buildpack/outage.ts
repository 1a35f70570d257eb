import type { Clock } from '../../clock.ts'
import { limits } from '../../limits.ts'

/** Servers that were asked in vain, until when they are not asked again: one build waits for such a server, not each. */
const outages = new Map<string, number>()

/** Where `key` is an origin. */
export const isOut = (clock: Clock, key: string): boolean => (outages.get(key) ?? 0) > clock.now()

export function noteOut(clock: Clock, key: string): void {
  outages.delete(key)
  outages.set(key, clock.now() + limits.registryOutage)
  const [oldest] = outages.keys()
  if (outages.size > limits.registryAnswers && oldest !== undefined) outages.delete(oldest)
}
