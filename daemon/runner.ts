import type { Clock } from './clock.ts'
import { figures } from './figures.ts'
import type { Log } from './log.ts'

/**
 * The only concurrency primitive of the control plane: for each app at most one pass runs at a time.
 *
 * The journal is the rows. A command is accepted when its row is committed (a pending rollout, a quantity, a dyno to be replaced,
 * an app to be destroyed); then the app is poked. A pass reads rows and engine, does the next steps and returns when to look again.
 * Invariants:
 *  - a poke during a pass means one more pass after it, so nothing that was committed before a poke is missed;
 *  - many pokes are one pass; passes of different apps run side by side;
 *  - a pass that throws is repeated with back-off, and says so in the log;
 *  - after `stop` no pass starts, and the promise resolves when the last one has ended.
 * Hence a crash between any two lines loses nothing: at start every app is poked once.
 */
export interface Runner {
  poke(app: string): void
  /** Passes that run, and the apps whose last one threw. */
  state(): { running: number; failing: string[] }
  /** Aborts running passes and waits for them. */
  stop(): Promise<void>
}

/** One look at one app. Returns when to look again at the latest (ms), or null when nothing is due. */
export type Pass = (app: string, signal: AbortSignal) => Promise<number | null>

const FIRST_RETRY = 250
const LAST_RETRY = 15_000

interface Lane {
  running: Promise<void> | undefined
  poked: boolean
  failures: number
  cancelAlarm: () => void
}

export function createRunner(pass: Pass, clock: Clock, log: Log): Runner {
  const lanes = new Map<string, Lane>()
  const stopping = new AbortController()

  const laneOf = (app: string): Lane => {
    const lane = lanes.get(app) ?? { running: undefined, poked: false, failures: 0, cancelAlarm: () => {} }
    lanes.set(app, lane)
    return lane
  }

  const run = async (app: string, lane: Lane): Promise<void> => {
    let next: number | null = null
    while (lane.poked && !stopping.signal.aborted) {
      lane.poked = false
      try {
        next = await pass(app, stopping.signal)
        lane.failures = 0
        figures.passes.add({ result: 'succeeded' })
      } catch (error) {
        if (stopping.signal.aborted) return
        figures.passes.add({ result: 'failed' })
        next = clock.now() + Math.min(LAST_RETRY, FIRST_RETRY * 2 ** lane.failures++)
        log.error('pass failed', { app, error, again: new Date(next).toISOString() })
      }
    }
    if (next !== null && !stopping.signal.aborted) lane.cancelAlarm = clock.at(next, () => poke(app))
    else if (!lane.poked) lanes.delete(app)
  }

  const poke = (app: string): void => {
    if (stopping.signal.aborted) return
    const lane = laneOf(app)
    lane.poked = true
    if (lane.running) return
    lane.cancelAlarm()
    lane.running = run(app, lane).finally(() => {
      lane.running = undefined
      if (lane.poked) poke(app)
    })
  }

  return {
    poke,
    state: () => ({
      running: [...lanes.values()].filter(({ running }) => running).length,
      failing: [...lanes].flatMap(([app, { failures }]) => (failures > 0 ? [app] : [])),
    }),
    async stop() {
      stopping.abort(new Error('the daemon is stopping'))
      for (const lane of lanes.values()) lane.cancelAlarm()
      await Promise.all([...lanes.values()].map((lane) => lane.running))
    },
  }
}
