/**
 * How a dyno does by one of its checks, from answer to answer. Pure.
 *
 *   passing --`attempts` failures in a row--> failing          failing --one pass--> passing
 */
export class Pulse {
  /** What was wrong when it began to fail; null while it passes. */
  trouble: string | null
  private failures = 0

  constructor(trouble: string | null = null) {
    this.trouble = trouble
  }

  /** `trouble`: what was wrong with an answer, null when nothing was. True when the state has changed. */
  note(trouble: string | null, attempts: number): boolean {
    const before = this.trouble
    this.failures = trouble === null ? 0 : this.failures + 1
    if (trouble === null) this.trouble = null
    else if (before === null && this.failures >= attempts) this.trouble = trouble
    return this.trouble !== before
  }
}
