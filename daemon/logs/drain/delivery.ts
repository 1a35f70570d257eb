import type { Clock } from '../../clock.ts'
import { figures } from '../../figures.ts'
import { limits } from '../../limits.ts'
import type { Log } from '../../log.ts'
import type { Line } from '../line.ts'
import type { Entry, Logs } from '../logs.ts'
import { lossLine } from '../loss.ts'
import { type Batch, beginBatch, type Place } from './batch.ts'
import { type DeliveryError, type Dialer, deliveryError } from './dial.ts'
import { transportOf, Unwanted } from './receiver.ts'
import { type DrainUrl, placeOf } from './url.ts'

/**
 * Carries the lines of one app to one receiver, from a number on, each at least once and in order. It holds one batch and a place in
 * the app's ring, however slow the receiver is; what goes by meanwhile is counted and told to it.
 *
 *   waiting -- a line --> gathering -- full, or time --> sending -- delivered, or unwanted --> waiting
 *                                                        |    ^
 *                                                  failed v    | time
 *                                                       pausing
 *
 *   anywhere -- end(), or the app's logs are removed --> ended
 *   anywhere -- stop(): sends what is there, tries once more when pausing --> ended
 */
export interface Delivery {
  /** At once; nothing is sent any more. */
  end(): void
  /** Delivers what is pending, until `late` aborts. */
  stop(late: AbortSignal): Promise<void>
}

export interface Parts {
  logs: Logs
  log: Log
  clock: Pick<Clock, 'now'>
  dialer: Dialer
}

export interface Route {
  id: string
  app: string
  token: string
  url: DrainUrl
  /** The number of the line before the first to deliver. */
  after: number
  delivered(place: Place): void
  /** The app's logs were removed, and the drain has ended with them. */
  gone(): void
}

const FIRST_PAUSE = 200

/** Doubling up to `limits.drainRetry`, the second half of it by chance, so that drains of one receiver do not come back together. */
export const pauseAfter = (failures: number, chance: number): number =>
  (Math.min(limits.drainRetry, FIRST_PAUSE * 2 ** (failures - 1)) * (1 + chance)) / 2

export function startDelivery(parts: Parts, route: Route): Delivery {
  const { logs, clock } = parts
  const transport = transportOf(parts.dialer, route.url, route.token)
  const ending = new AbortController()
  const bell = createBell()
  const lines = logs.follow(route.app, {}, ending.signal, route.after)[Symbol.asyncIterator]()
  const complain = createComplaint(parts, route)
  let ahead: Promise<IteratorResult<Entry>> | undefined
  /** What the receiver did not want. */
  let notice: Line | undefined
  let lost = { lines: 0, since: 0 }
  let doubt = false
  let stopping = false
  let failures = 0
  const receiver = transport.receiver(() => {
    doubt = true
    bell.ring()
  })

  /** The next line when there is one before the bell rings, or, when stopping, at once. */
  const nextLine = async (wait: Wait): Promise<Entry | undefined> => {
    ahead ??= lines.next()
    const found = await Promise.race([ahead, wait.over])
    if (!found || found.done) return undefined
    ahead = undefined
    return found.value
  }

  const gather = async (first: Entry): Promise<Batch> => {
    const batch = beginBatch(transport.frame, notice)
    const wait = stopping ? turn() : bell.wait(transport.gather)
    for (let entry: Entry | undefined = first; entry; entry = batch.full ? undefined : await nextLine(wait)) {
      batch.add(entry)
      figures.logLoss.add({ where: 'drain' }, entry.loss?.count ?? 0)
    }
    wait.cancel()
    return batch.finish()
  }

  const nextWork = async (): Promise<Batch | 'repeat' | undefined> => {
    while (!ending.signal.aborted) {
      if (doubt) {
        doubt = false
        return 'repeat'
      }
      const last = stopping
      const wait = last ? turn() : bell.wait()
      const first = await nextLine(wait)
      wait.cancel()
      if (first) return gather(first)
      if (last || (await ended())) return undefined
    }
    return undefined
  }

  /** Whether the app's logs are gone. */
  const ended = async (): Promise<boolean> => {
    const found = await Promise.race([ahead, turn().over])
    return found?.done === true
  }

  const drop = (batch: Batch): void => {
    figures.logLoss.add({ where: 'drain' }, batch.lines)
    lost = { lines: lost.lines + batch.lines, since: lost.since || clock.now() }
    notice = lossLine('drain', { count: lost.lines, since: lost.since })
    route.delivered(batch.end)
  }

  const succeeded = (work: Batch | 'repeat'): void => {
    failures = 0
    if (work === 'repeat') return
    notice = undefined
    lost = { lines: 0, since: 0 }
    figures.drainLines.add({}, work.lines)
    route.delivered(work.end)
  }

  /** False when the daemon stops before it succeeds. */
  const deliver = async (work: Batch | 'repeat'): Promise<boolean> => {
    for (;;) {
      const last = stopping
      try {
        await (work === 'repeat' ? receiver.repeat(ending.signal) : receiver.send(work, ending.signal))
        if (!ending.signal.aborted) succeeded(work)
        return true
      } catch (thrown) {
        if (ending.signal.aborted) return false
        complain(deliveryError(thrown), ++failures)
        if (work !== 'repeat' && thrown instanceof Unwanted) drop(work)
        else if (last) return false
        if (!stopping) await bell.wait(pauseAfter(failures, Math.random())).over
        if (thrown instanceof Unwanted) return true
      }
    }
  }

  const run = async (): Promise<void> => {
    try {
      let work = await nextWork()
      while (work && (await deliver(work))) work = await nextWork()
      if (!work && !stopping && !ending.signal.aborted) route.gone()
    } finally {
      await receiver.close(ending.signal)
      ending.abort()
    }
  }
  const running = run().catch((error: unknown) => parts.log.error('a drain broke', { drain: route.id, error }))
  const end = (): void => {
    ending.abort()
    bell.ring()
  }
  return {
    end,
    async stop(late) {
      stopping = true
      bell.ring()
      if (late.aborted) end()
      late.addEventListener('abort', end)
      await running
      late.removeEventListener('abort', end)
    },
  }
}

interface Wait {
  over: Promise<void>
  /** Must be called when `over` is no longer awaited. */
  cancel(): void
}

/** Long enough for every line that is there to be seen. */
const turn = (): Wait => ({ over: new Promise((resolve) => setImmediate(resolve)), cancel() {} })

/** Wakes whoever waits. */
function createBell() {
  const waiting = new Set<() => void>()
  return {
    ring(): void {
      for (const wake of waiting) wake()
    },
    /** Until it rings, or for `ms`. */
    wait(ms?: number): Wait {
      let wake = (): void => {}
      const over = new Promise<void>((resolve) => {
        wake = resolve
      })
      const timer = ms === undefined ? undefined : setTimeout(() => cancel(), ms)
      const cancel = (): void => {
        clearTimeout(timer)
        waiting.delete(cancel)
        wake()
      }
      waiting.add(cancel)
      return { over, cancel }
    },
  }
}

/** Tells the app's owner and the operator, once a minute. A kept connection may have ended, so one failure is nothing. */
function createComplaint({ logs, log, clock }: Parts, { id, app, token, url }: Route) {
  let told = Number.NEGATIVE_INFINITY
  return (error: DeliveryError, failures: number): void => {
    const worthTelling = failures > 1 || error.code === 'L14' || error instanceof Unwanted
    const now = clock.now()
    if (!worthTelling || now - told < limits.drainTell) return
    told = now
    const what = error.code === 'L14' ? 'L14 (certificate validation)' : 'L13 (delivery error)'
    const text = `Error ${what}: error="${error.message}" uri="${placeOf(url)}" drain=${token}`
    logs.write(app, { at: now, source: 'heroku', dyno: 'logplex', text })
    log.warn('a drain does not get through', { drain: id, app, to: placeOf(url), error: error.message })
  }
}
