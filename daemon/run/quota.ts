import type { Clock } from '../clock.ts'

/**
 * Dynos in which the kernel kills processes for their memory while they live on (R14): each is told when it has outlived that, and again every twenty seconds as
 * long as there was another one, which is how often Heroku looks at a dyno's memory. One that ends of it is told by its end (R15).
 *
 *   within -- a process is killed --> over -- told --> waiting -- twenty seconds, none killed --> within
 *      ^                                ^                 |
 *      +---- the dyno has ended         +-----------------+ another was killed
 */
export interface Quota {
  /** A process of the dyno was killed. */
  exceeded(dyno: string): void
  ended(dyno: string): void
}

/** A dyno that ends within this time has ended of it (engine/ends.ts). */
const AFTERMATH = 5000
const AGAIN = 20_000

export function createQuota(clock: Clock, tell: (dyno: string) => void): Quota {
  const dynos = new Map<string, { killed: boolean; cancel: () => void }>()

  const wait = (dyno: string, time: number): void => {
    const cancel = clock.at(clock.now() + time, () => look(dyno))
    dynos.set(dyno, { killed: false, cancel })
  }

  const look = (dyno: string): void => {
    const over = dynos.get(dyno)?.killed
    dynos.delete(dyno)
    if (!over) return
    tell(dyno)
    wait(dyno, AGAIN)
  }

  return {
    exceeded(dyno) {
      if (!dynos.has(dyno)) wait(dyno, AFTERMATH)
      Object.assign(dynos.get(dyno) ?? {}, { killed: true })
    },
    ended(dyno) {
      dynos.get(dyno)?.cancel()
      dynos.delete(dyno)
    },
  }
}
