/** So many at once, and then so many a second (a token bucket). Pure; times in ms. */
export class Allowance {
  private left: number
  private readonly most: number
  private readonly perSecond: number
  private at: number

  constructor(most: number, perSecond: number, now: number) {
    this.left = most
    this.most = most
    this.perSecond = perSecond
    this.at = now
  }

  /** False when there is none left. */
  take(now: number): boolean {
    this.left = Math.min(this.most, this.left + ((now - this.at) * this.perSecond) / 1000)
    this.at = now
    if (this.left < 1) return false
    this.left--
    return true
  }
}
