import type { Limits } from './limits.ts'

/** Whether a body comes on: in each idle time at least `bodyProgress` bytes of it, so that a byte a minute does not hold a dyno for ever. */
export class Pace {
  private until = 0
  private before = 0

  /** To be asked again and again. `taken`: bytes up to now; null while it is not the sender whom we wait for. */
  isTooSlow(now: number, taken: number | null, { idle, bodyProgress }: Limits): boolean {
    if (taken === null) this.until = 0
    if (taken === null || now < this.until) return false
    const slow = this.until !== 0 && taken - this.before < bodyProgress
    this.until = now + idle
    this.before = taken
    return slow
  }
}
