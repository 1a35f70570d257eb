import { limits } from '../limits.ts'

/** What routers find wrong with the health of dynos, of so many as is worth to remember: the last word on each. */
export class Troubles {
  /** The newest last. */
  private readonly reasons = new Map<string, string>()

  note(backend: string, reason: string): void {
    this.reasons.delete(backend)
    this.reasons.set(backend, reason.replace(/[^\x20-\x7e]/g, '?').slice(0, limits.checkTrouble))
    for (const oldest of this.reasons.keys()) if (this.reasons.size > limits.checkTroubles) this.reasons.delete(oldest)
  }

  of(backend: string): string | undefined {
    return this.reasons.get(backend)
  }
}
