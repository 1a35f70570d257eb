/** Chance that repeats: the same seed, the same choices (mulberry32). */
export class Dice {
  private state: number

  constructor(seed: number) {
    this.state = seed >>> 0
  }

  /** 0 up to and without n. */
  below(n: number): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let mixed = this.state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % n
  }

  chance(percent: number): boolean {
    return this.below(100) < percent
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T
  }

  some<T>(most: number, make: () => T): T[] {
    return Array.from({ length: this.below(most + 1) }, make)
  }

  /** Cut in up to `most` pieces, none of them empty. */
  cut(text: string, most: number): string[] {
    const cuts = new Set(this.some(most - 1, () => this.below(text.length)))
    const at = [...cuts, 0, text.length].sort((a, b) => a - b)
    return at.slice(1).flatMap((end, i) => (end > (at[i] ?? 0) ? [text.slice(at[i], end)] : []))
  }
}
