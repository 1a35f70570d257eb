import { availableParallelism, totalmem } from 'node:os'
import type { Daemon } from '../daemon.ts'
import { limits } from '../limits.ts'
import type { Output } from './output.ts'

/**
 * Builds take turns: so many run at once as SLUICE_BUILDS says, or as the machine has cores, and memory for twice. First come, first served; an app has one build at a
 * time, so none keeps the others waiting by building often.
 *
 *   waiting -- a place is free, in the order of coming --> at work --> done
 *      +-- aborted --> done
 */
export interface Queue {
  /** Does the work when it is its turn. Rejects with the abort reason when `signal` aborts before that. */
  turn<Result>(waiting: Waiting, work: () => Promise<Result>): Promise<Result>
  state(): { running: number; waiting: number }
}

export interface Waiting {
  signal: AbortSignal
  /** Told when it has to wait, and each time that it moves up: so many must end before it begins. */
  moved(ahead: number): void
}

/** Does the work of a build, with so much memory, when it is its turn; the output tells how long that takes. Throws UserError when there is no memory. */
export const inTurn = <Result>(
  { queue, capacity }: Pick<Daemon, 'queue' | 'capacity'>,
  { signal, output }: { signal: AbortSignal; output: Output },
  work: (memory: number) => Promise<Result>,
): Promise<Result> =>
  queue.turn(
    { signal, moved: (ahead) => output.step(`Waiting for ${ahead} other build${ahead === 1 ? '' : 's'}...`) },
    () => capacity.build(signal, work),
  )

export const placesOn = (cores: number, memory: number): number =>
  Math.max(1, Math.min(cores, Math.floor(memory / 2 / limits.buildMemory)))

export function createQueue(places = placesOn(availableParallelism(), totalmem())): Queue {
  let atWork = 0
  const waiting: (Waiting & { begin(): void })[] = []

  const tell = (from: number): void => {
    for (const [n, { moved }] of waiting.entries()) if (n >= from) moved(n + 1)
  }

  const admitted = ({ signal, moved }: Waiting): Promise<void> =>
    new Promise((resolve, reject) => {
      const leave = (): void => {
        const place = waiting.indexOf(entry)
        waiting.splice(place, 1)
        tell(place)
        reject(signal.reason)
      }
      const entry = {
        signal,
        moved,
        begin() {
          signal.removeEventListener('abort', leave)
          resolve()
        },
      }
      signal.addEventListener('abort', leave, { once: true })
      waiting.push(entry)
      moved(waiting.length)
    })

  return {
    state: () => ({ running: atWork, waiting: waiting.length }),
    async turn(entry, work) {
      entry.signal.throwIfAborted()
      // A place that becomes free goes from hand to hand, so that nobody who comes just then takes it.
      if (atWork < places) atWork++
      else await admitted(entry)
      try {
        return await work()
      } finally {
        const next = waiting.shift()
        if (next) {
          next.begin()
          tell(0)
        } else atWork--
      }
    },
  }
}
