import type { Clock } from '../clock.ts'
import { limits } from '../limits.ts'

/** What a router has said of the table that it had last; nothing after a restart of the daemon. */
export interface LastWord {
  /** Version that it follows. */
  applied: number
  /** Backends that have no request of it left. */
  drained: ReadonlySet<string>
}

interface Parts {
  clock: Clock
  /** One is connected. */
  connected(): boolean
  /** This one is not waited for any more. */
  lost(router: string): void
}

/**
 * Routers that are gone and may serve on by their last table, each for a bounded time. Nobody is given up while none is connected: then it
 * is rather us whom they cannot reach, nothing goes on anyhow, and the first that is back must not have the word for all.
 */
export class Absences {
  private readonly absent = new Map<string, { word: LastWord; cancel(): void }>()
  private readonly parts: Parts

  constructor(parts: Parts) {
    this.parts = parts
  }

  begin(router: string, word: LastWord = { applied: 0, drained: new Set() }): void {
    this.end(router)
    const [oldest] = this.absent.keys()
    if (oldest !== undefined && this.absent.size >= limits.knownRouters) this.giveUp(oldest)
    this.absent.set(router, { word, cancel: this.alarm(router) })
  }

  /** It is back, or nobody waits for it any more. False when nobody did. */
  end(router: string): boolean {
    this.absent.get(router)?.cancel()
    return this.absent.delete(router)
  }

  /** The first of all is connected: the others have their time from now on. */
  restart(): void {
    for (const [router, { word }] of [...this.absent]) this.begin(router, word)
  }

  has(router: string): boolean {
    return this.absent.has(router)
  }

  words(): LastWord[] {
    return [...this.absent.values()].map(({ word }) => word)
  }

  close(): void {
    for (const router of this.absent.keys()) this.end(router)
  }

  private alarm(router: string): () => void {
    const { clock, connected } = this.parts
    return clock.at(clock.now() + limits.routerReturn, () => {
      if (connected()) this.giveUp(router)
      else this.begin(router, this.absent.get(router)?.word)
    })
  }

  private giveUp(router: string): void {
    this.end(router)
    this.parts.lost(router)
  }
}
