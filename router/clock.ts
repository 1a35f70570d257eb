/**
 * ms since the epoch. It stands while a chunk is handed on (block.ts): the dozen steps of a request need not look at the clock a dozen times.
 */
export const now = (): number => (standing === 0 ? Date.now() : standing)

let standing = 0

/** Returns what `release` needs. */
export function stand(): number {
  const before = standing
  standing = Date.now()
  return before
}

export function release(before: number): void {
  standing = before
}
