import type { Limits } from './limits.ts'

/**
 * Whether a backend is out of the choice for a while; each router has its own view
 * (https://devcenter.heroku.com/articles/http-routing#dyno-connection-behavior).
 *
 *   well --refused a connection--> out              out --its time is over--> well; the next time is twice as long
 *   well --broke off `breaks` in a row--> out       any --answered--> it starts to count anew
 */
export class Quarantine {
  /** ms since the epoch */
  until = 0
  private times = 0
  private breaks = 0
  private readonly limits: Pick<Limits, 'quarantine' | 'quarantineFirst' | 'breaks'>

  constructor(limits: Pick<Limits, 'quarantine' | 'quarantineFirst' | 'breaks'>) {
    this.limits = limits
  }

  refused(now: number): void {
    this.out(now)
  }

  /** Nobody accepted in all the time that a connection may take: to find that out again is dear, so it is out as long as can be. */
  timedOut(now: number): void {
    this.until = Math.max(this.until, now + this.limits.quarantine)
  }

  /** It took a request and closed without a whole response. One may be the request's fault, some in a row are the dyno's. */
  broke(now: number): void {
    if (++this.breaks >= this.limits.breaks) this.out(now)
  }

  answered(): void {
    this.times = 0
    this.breaks = 0
  }

  /** Many requests that fail at the same time are one reason, not many. */
  private out(now: number): void {
    if (now < this.until) return
    this.until = now + Math.min(this.limits.quarantine, this.limits.quarantineFirst * 2 ** this.times)
    this.times = Math.min(this.times + 1, 30)
  }
}
