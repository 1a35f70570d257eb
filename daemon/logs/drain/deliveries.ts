import type { Clock } from '../../clock.ts'
import type { Config } from '../../config.ts'
import { limits } from '../../limits.ts'
import type { Log } from '../../log.ts'
import type { Logs } from '../logs.ts'
import type { Place } from './batch.ts'
import { type Delivery, startDelivery } from './delivery.ts'
import { createDialer } from './dial.ts'
import { openProgress } from './progress.ts'
import { createTargets } from './target.ts'
import type { DrainUrl } from './url.ts'

/** The drains that run. What there should be is in the table; see drain.ts. */
export interface Deliveries {
  /** Goes on where the drain has stopped before; a new one begins with the next line. Idempotent by id. */
  open(drain: { id: string; app: string; token: string; url: DrainUrl }): void
  /** For good, at once. */
  end(id: string): void
  endAll(app: string): void
  /** Delivers what is pending, for `limits.drainStop` ms at most, and stores how far each has got. */
  stop(): Promise<void>
  /** Drains that run, and the kept lines that they have not delivered yet. */
  state(): { open: number; waiting: number }
  /** Whether this host is known to be one that drains may not reach. */
  refuses(host: string): Promise<boolean>
}

interface Parts {
  config: Pick<Config, 'data' | 'networkPool' | 'drainAllow' | 'caBundle'>
  log: Log
  logs: Logs
  clock: Pick<Clock, 'now'>
}

export function createDeliveries({ config, log, logs, clock }: Parts): Deliveries {
  const dialer = createDialer(createTargets(config.networkPool, config.drainAllow), config.caBundle, log)
  const progress = openProgress(config.data, log)
  const running = new Map<string, { app: string; delivery: Delivery }>()
  let stopped = false

  const begin = (app: string): Place => {
    const [newest] = logs.recent(app, {}, 1)
    return newest ? { seq: newest.seq, at: newest.at } : { seq: 0, at: clock.now() }
  }
  const end = (id: string): void => {
    running.get(id)?.delivery.end()
    running.delete(id)
    progress.forget(id)
  }

  const waiting = ([id, { app }]: [string, { app: string }]): number => {
    const newest = logs.recent(app, {}, 1)[0]?.seq ?? 0
    return Math.max(0, Math.min(limits.logLinesKept, newest - (progress.of(id)?.seq ?? newest)))
  }

  return {
    state: () => ({ open: running.size, waiting: [...running].reduce((sum, one) => sum + waiting(one), 0) }),
    open(drain) {
      if (stopped || running.has(drain.id)) return
      const known = progress.of(drain.id)
      const place = known ?? begin(drain.app)
      if (!known) progress.note(drain.id, place)
      const delivery = startDelivery(
        { logs, log, clock, dialer },
        {
          ...drain,
          after: place.seq,
          delivered(to) {
            if (running.has(drain.id)) progress.note(drain.id, to)
          },
          gone: () => end(drain.id),
        },
      )
      running.set(drain.id, { app: drain.app, delivery })
    },
    end,
    endAll(app) {
      for (const [id, one] of running) if (one.app === app) end(id)
    },
    async stop() {
      stopped = true
      // Only lines that are on disk are delivered.
      await logs.flush()
      const late = AbortSignal.timeout(limits.drainStop)
      await Promise.all([...running.values()].map(({ delivery }) => delivery.stop(late)))
      await progress.close()
    },
    refuses: dialer.refuses,
  }
}
