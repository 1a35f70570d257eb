import type { Clock } from '../clock.ts'

/** Token buckets by key: each holds `size` and gets one back every `every` ms. In memory; at most `most` keys that are not full. */
export interface Buckets {
  /** Takes one: 0, or the ms until there is one again. */
  take(key: string): number
  /** Puts one back. */
  give(key: string): void
  /** How many are left, as a whole number. */
  left(key: string): number
}

export function createBuckets(clock: Clock, { size, every, most }: Record<'size' | 'every' | 'most', number>): Buckets {
  const used = new Map<string, { level: number; at: number }>()
  const levelOf = (key: string): number => {
    const bucket = used.get(key)
    return bucket ? Math.min(size, bucket.level + Math.max(0, clock.now() - bucket.at) / every) : size
  }
  /** The one that was touched last stands last, so that the first is the one that has filled the longest. */
  const set = (key: string, level: number): void => {
    used.delete(key)
    if (level < size) used.set(key, { level, at: clock.now() })
    for (const old of used.keys()) {
      if (used.size <= most && levelOf(old) < size) break
      used.delete(old)
    }
  }
  return {
    take(key) {
      const level = levelOf(key)
      if (level < 1) return Math.ceil((1 - level) * every)
      set(key, level - 1)
      return 0
    },
    give: (key) => set(key, Math.min(size, levelOf(key) + 1)),
    left: (key) => Math.floor(levelOf(key)),
  }
}
