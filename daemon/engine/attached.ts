/**
 * The ends that this daemon holds of dynos with a terminal of their own:
 *
 *           begin            hold           offer             take
 *   (none) -------> started -----> held ----------> offered -----------> taken
 *      ^               |             |                  |                  |
 *      +--------fail---+-------------+------------------+------------------+---drop---> gone
 *
 * Whoever takes before there is anything to take waits: through `started` and `held`, and before that up to `limits.boot`.
 */
import { limits } from '../limits.ts'
import { EngineError, type Process } from './engine.ts'

export interface Attached {
  /** A start is under way, which will end with `offer`, `fail` or `drop`. */
  begin(id: string): void
  /** What it will offer when it has started. */
  hold(id: string, process: Process): void
  offer(id: string): void
  /** There is nothing to take (any more); who waits is told why. */
  fail(id: string, error: EngineError): void
  /** The dyno was stopped. */
  drop(id: string): void
  take(id: string, signal?: AbortSignal): Promise<Process>
  state(id: string): Phase | 'none'
}

interface Waiting {
  admit(process: Process): void
  refuse(error: unknown): void
  patient(): void
}

type Phase = 'started' | 'held' | 'offered' | 'taken'
type State = { phase: 'started' | 'taken' } | { phase: 'held' | 'offered'; process: Process }

/** Ids of dynos that were stopped; none is used again. */
const REMEMBERED = 10_000

export function createAttached(): Attached {
  const states = new Map<string, State>()
  const queues = new Map<string, Set<Waiting>>()
  const gone = new Set<string>()

  const leave = (id: string): Waiting[] => {
    const queue = queues.get(id) ?? []
    queues.delete(id)
    return [...queue]
  }

  const end = (id: string, error: EngineError): void => {
    const state = states.get(id)
    states.delete(id)
    for (const waiting of leave(id)) waiting.refuse(error)
    if (state && 'process' in state) discard(state.process)
  }

  return {
    state: (id) => states.get(id)?.phase ?? 'none',
    begin(id) {
      gone.delete(id)
      states.set(id, { phase: 'started' })
      for (const waiting of queues.get(id) ?? []) waiting.patient()
    },
    hold: (id, process) => void states.set(id, { phase: 'held', process }),
    offer(id) {
      const state = states.get(id)
      if (state?.phase !== 'held') return
      const [first, ...others] = leave(id)
      states.set(id, first ? { phase: 'taken' } : { phase: 'offered', process: state.process })
      first?.admit(state.process)
      for (const waiting of others) waiting.refuse(takenAlready())
    },
    fail: end,
    drop(id) {
      end(id, stoppedAlready())
      gone.add(id)
      for (const old of gone) {
        if (gone.size <= REMEMBERED) break
        gone.delete(old)
      }
    },
    async take(id, signal) {
      signal?.throwIfAborted()
      const state = states.get(id)
      if (state?.phase === 'taken') throw takenAlready()
      if (state?.phase === 'offered') {
        states.set(id, { phase: 'taken' })
        return state.process
      }
      if (gone.has(id)) throw stoppedAlready()
      return wait(queues, id, { signal, patient: state !== undefined })
    },
  }
}

function wait(
  queues: Map<string, Set<Waiting>>,
  id: string,
  { signal, patient }: { signal: AbortSignal | undefined; patient: boolean },
): Promise<Process> {
  return new Promise((resolve, reject) => {
    const queue = queues.get(id) ?? new Set()
    queues.set(id, queue)
    const over = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', aborted)
      queue.delete(waiting)
      if (queue.size === 0 && queues.get(id) === queue) queues.delete(id)
    }
    const waiting: Waiting = {
      patient: () => clearTimeout(timer),
      admit(process) {
        over()
        resolve(process)
      },
      refuse(error) {
        over()
        reject(error)
      },
    }
    const timer = setTimeout(() => waiting.refuse(neverStarted()), limits.boot)
    const aborted = () => waiting.refuse(signal?.reason)
    if (patient) waiting.patient()
    signal?.addEventListener('abort', aborted)
    queue.add(waiting)
  })
}

/** Nobody will come to read it; the process must not wait for that with its end. */
function discard(process: Process): void {
  process.input.end()
  void (async () => {
    for await (const _ of process.output);
  })()
}

const takenAlready = () =>
  new EngineError('Another client is attached to this dyno, or was. Run the command again for a dyno of your own.')
const stoppedAlready = () =>
  new EngineError('The dyno was stopped before a client was attached. Run the command again.')
const neverStarted = () =>
  new EngineError(`The dyno was not started within ${limits.boot / 1000} seconds. Run the command again.`)
