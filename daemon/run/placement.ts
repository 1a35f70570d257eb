import type { Clock } from '../clock.ts'
import {
  type DynoSpec,
  type Engine,
  type EngineEvent,
  EngineGone,
  type Listener,
  type Placed,
} from '../engine/engine.ts'
import { isDiskFull, messageOf, withoutPaths } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Boot, Boots } from './boot.ts'
import { createExits, type Tell } from './exit.ts'
import { createQuota } from './quota.ts'

/**
 * What the engine is known to hold, and what it has been told and not answered yet. Heals by looking, not only by listening:
 * subscribes, then lists, and lists again every half minute and whenever the subscription breaks.
 */
export interface Placements {
  /** False until the engine was listed once; before that nothing may be concluded from an absence. */
  readonly known: boolean
  of(dyno: string): Placed | undefined
  state(dyno: string): ContainerState
  /** Why the launch of this dyno failed, for the user. */
  failure(dyno: string): string | undefined
  /** Where its processes listen, as it was when this was asked first. */
  listens(dyno: string): Promise<Listener[]>
  /** Starts a dyno in the background when it is its turn to boot, and asks then what it is; its app hears of the outcome. */
  launch(boot: Boot, describe: () => Promise<DynoSpec>): void
  /** It is up, so it is another's turn to boot. */
  up(dyno: string): void
  /** Resolves when the engine has answered every launch so far. */
  answered(): Promise<void>
  /** Stops a dyno in the background; its app hears when it is gone. Resolves then, or when the engine could not; never rejects. */
  stop(dyno: { id: string; app: string }, grace: number, hangup?: number): Promise<void>
  /** The engine was told to stop it, and it is not gone yet. */
  asked(dyno: string): boolean
  /** Resolves when the end of its process is in the app's log, if it is known to have ended; tells it if nobody has. */
  told(dyno: string): Promise<void>
  /** Drops what is known of a dyno whose row is gone. */
  forget(dyno: string): void
  /** Watches until `signal` aborts. */
  run(signal: AbortSignal): Promise<void>
}

/**
 * `pending`: it waits for its turn to boot, or the engine was told and has not answered yet, or was gone and is not back. `failed`: it
 * refused to start it.
 */
export type ContainerState = 'none' | 'pending' | 'failed' | 'running' | 'exited'

export interface Listeners {
  /** The engine was listed for the first time: plans can be made. */
  known(): void | Promise<void>
  /** Something about a dyno of this app has changed. */
  changed(app: string): void
  /** A container is seen running or ended, for the first time or again; called before `changed`. */
  seen(placed: Placed): void
  /** Tells the app's log that the process has ended, once. */
  exited: Tell
  /** Tells the app's log that a dyno lives on in which the kernel has killed a process for its memory. */
  exceeded(placed: Placed): void | Promise<void>
  /** Whether a dyno has a row; a container without one is left over and is removed. */
  wanted(ids: string[]): Promise<Set<string>>
}

const LIST_AGAIN = 30_000
const RECONNECT = 500
/** So often a dyno is launched anew because the engine was gone; an engine that is only ever silent about this one has failed it. */
const ANEW = 5

export function createPlacements(
  deps: { engine: Engine; clock: Clock; log: Log; boots: Boots },
  on: Listeners,
): Placements {
  const { engine, clock, log, boots } = deps
  const placed = new Map<string, Placed>()
  const pending = new Map<string, 'launch' | 'stop'>()
  const failures = new Map<string, string>()
  /**
   * Those whose launch the engine did not answer, because it was gone, with their apps: once it is listed again they are launched anew. What
   * is there of them is taken away first: one that was starting when its engine was killed may run, and be reached by nobody.
   */
  const unheard = new Map<string, string>()
  const launchedAnew = new Map<string, number>()
  const listening = new Map<string, Promise<Listener[]>>()
  const launches = new Set<Promise<void>>()
  const stops = new Map<string, Promise<void>>()
  const exits = createExits({ clock, log }, on.exited)
  const quota = createQuota(clock, (id) => {
    const one = placed.get(id)
    if (one?.running)
      Promise.resolve(on.exceeded(one)).catch((error: unknown) => log.error('R14 was not told', { dyno: id, error }))
  })
  /** Exits told before the answer to the launch. */
  const early = new Map<string, EngineEvent & { kind: 'exited' }>()
  let known = false

  /** A stop that came during the launch has the last word. */
  const overtaken = (id: string): boolean => pending.get(id) !== 'launch'

  /** For each list that is under way: dynos of which the engine has answered something newer meanwhile. */
  const newer = new Set<Set<string>>()

  const settle = (id: string, app: string) => {
    pending.delete(id)
    for (const ids of newer) ids.add(id)
    on.changed(app)
  }

  const ended = (id: string) => {
    boots.leave(id)
    quota.ended(id)
  }

  const stopped = async (dyno: { id: string; app: string }) => {
    ended(dyno.id)
    await exits.gone(() => placed.get(dyno.id), dyno.id)
    placed.delete(dyno.id)
    failures.delete(dyno.id)
    unheard.delete(dyno.id)
    settle(dyno.id, dyno.app)
  }

  const stop = (dyno: { id: string; app: string }, grace: number, hangup?: number): Promise<void> => {
    const asked = stops.get(dyno.id)
    if (asked) return asked
    if (pending.get(dyno.id) === 'launch') boots.leave(dyno.id)
    pending.set(dyno.id, 'stop')
    exits.stopping(dyno.id, { grace, running: placed.get(dyno.id)?.running === true })
    const done = engine
      .stop(dyno.id, grace, hangup)
      .then(
        () => stopped(dyno),
        (error: unknown) => {
          log.error('stop failed', { dyno: dyno.id, error })
          clock.at(clock.now() + RECONNECT, () => settle(dyno.id, dyno.app))
        },
      )
      .finally(() => stops.delete(dyno.id))
    stops.set(dyno.id, done)
    return done
  }

  /** True when it is the engine that is gone, so that nothing is said of the dyno. */
  const postpone = ({ id, app, once }: Boot, error: unknown): boolean => {
    const times = launchedAnew.get(id) ?? 0
    if (!(error instanceof EngineGone) || once || times >= ANEW) return false
    launchedAnew.set(id, times + 1)
    unheard.set(id, app)
    pending.delete(id)
    clock.at(clock.now() + RECONNECT, listAgain)
    return true
  }

  const launch = async (boot: Boot, describe: () => Promise<DynoSpec>): Promise<void> => {
    const { id, app } = boot
    try {
      const spec = await describe()
      if (overtaken(id)) return
      const one = await engine.start(spec)
      if (overtaken(id)) return
      placed.set(id, one)
      boots.runs(boot, clock.now())
      on.seen(one)
      const end = early.get(id)
      early.delete(id)
      if (end) exited(end)
      settle(id, app)
    } catch (error) {
      if (overtaken(id)) return
      log.error('start failed', { dyno: id, app, error })
      early.delete(id)
      boots.leave(id)
      if (postpone(boot, error)) return
      failures.set(id, isDiskFull(error) ? 'The disk of this host is full.' : withoutPaths(messageOf(error)))
      settle(id, app)
    }
  }

  const exited = (event: EngineEvent & { kind: 'exited' }): void => {
    const before = placed.get(event.id)
    if (pending.get(event.id) === 'launch') early.set(event.id, event)
    if (!before?.running) return
    for (const ids of newer) ids.add(event.id)
    const after = { ...before, running: false, exitCode: event.exitCode, outOfMemory: event.outOfMemory, address: null }
    placed.set(event.id, after)
    ended(event.id)
    exits.seen(after)
    on.changed(event.app)
  }

  /** Takes the engine's list as the truth, except for dynos of which something newer is known or under way. */
  const list = async (): Promise<void> => {
    const outdated = new Set<string>()
    const silent = [...unheard]
    newer.add(outdated)
    try {
      const found = new Map((await engine.list()).map((one) => [one.id, one]))
      const wanted = await on.wanted([...found.keys()])
      believe(found, wanted, (id) => pending.has(id) || unheard.has(id) || outdated.has(id))
    } finally {
      newer.delete(outdated)
    }
    for (const [id, app] of silent) if (unheard.has(id)) void stop({ id, app }, 0)
    if (known) return
    known = true
    try {
      await on.known()
    } catch (error) {
      // Whoever was not told has nobody else to be told by, so the next list tells.
      known = false
      throw error
    }
  }

  const listAgain = (): void => void list().catch((error: unknown) => log.error('listing the engine failed', { error }))

  const believe = (found: Map<string, Placed>, wanted: Set<string>, newerKnown: (id: string) => boolean): void => {
    for (const [id, before] of placed)
      if (!found.has(id) && !newerKnown(id)) {
        placed.delete(id)
        ended(id)
        on.changed(before.app)
      }
    for (const now of found.values()) {
      if (newerKnown(now.id)) continue
      if (!wanted.has(now.id)) {
        log.warn('removing a container that nothing wants', { dyno: now.id, app: now.app })
        void stop(now, 0)
        continue
      }
      const before = placed.get(now.id)
      placed.set(now.id, now)
      on.seen(now)
      if (!known && now.running) boots.runs(bootOf(now), now.startedAt)
      if (before?.running && !now.running) {
        ended(now.id)
        exits.seen(now)
      }
      if (before?.running !== now.running) on.changed(now.app)
    }
  }

  const watchOnce = async (signal: AbortSignal): Promise<void> => {
    const events = engine.watch(signal)[Symbol.asyncIterator]()
    let next = events.next()
    next.catch(() => {})
    await list()
    let cancel = () => {}
    const relist = () => {
      cancel = clock.at(clock.now() + LIST_AGAIN, () => {
        listAgain()
        relist()
      })
    }
    relist()
    try {
      for (let event = await next; !event.done; event = await next) {
        if (event.value.kind === 'exited') exited(event.value)
        if (event.value.kind === 'starved') quota.exceeded(event.value.id)
        next = events.next()
      }
    } finally {
      cancel()
    }
  }

  return {
    get known() {
      return known
    },
    of: (dyno) => placed.get(dyno),
    state(dyno) {
      if (pending.has(dyno) || unheard.has(dyno)) return 'pending'
      const one = placed.get(dyno)
      if (one === undefined) return failures.has(dyno) ? 'failed' : 'none'
      return one.running ? 'running' : 'exited'
    },
    failure: (dyno) => failures.get(dyno),
    listens(dyno) {
      const known = listening.get(dyno) ?? engine.listens(dyno).catch(() => [])
      listening.set(dyno, known)
      return known
    },
    launch(boot, describe) {
      if (pending.has(boot.id)) return
      pending.set(boot.id, 'launch')
      boots.enter(boot, () => {
        const launched = launch(boot, describe)
        launches.add(launched)
        void launched.finally(() => launches.delete(launched))
      })
    },
    up: boots.leave,
    answered: async () => void (await Promise.allSettled(launches)),
    stop,
    asked: exits.isStopping,
    async told(dyno) {
      const one = placed.get(dyno)
      if (one && !one.running) await exits.tell(one)
    },
    forget(dyno) {
      failures.delete(dyno)
      launchedAnew.delete(dyno)
      listening.delete(dyno)
      exits.forget(dyno)
    },
    async run(signal) {
      while (!signal.aborted) {
        try {
          await watchOnce(signal)
        } catch (error) {
          if (!signal.aborted) log.error('watching the engine failed', { error })
        }
        if (!signal.aborted) await pause(clock, RECONNECT, signal)
      }
    },
  }
}

/** Of one that an earlier daemon has started. */
const bootOf = ({ id, app, type, attached }: Placed): Boot => ({
  id,
  app,
  web: type === 'web',
  asked: attached ? 'by a client' : 'by nobody',
})

/** Back-off between two attempts to reach the engine. */
const pause = (clock: Clock, delay: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const cancel = clock.at(clock.now() + delay, resolve)
    const stop = () => {
      cancel()
      resolve()
    }
    signal.addEventListener('abort', stop, { once: true })
  })
