import { type AppRoute, type Failing, panics, type Watch, type WatchKind } from '../../router/protocol.ts'
import { limits } from '../limits.ts'

type App = Pick<AppRoute, 'id' | 'backends'>

export interface WellnessParts {
  now(): number
  /** The route that a backend serves in; undefined for one that does not. */
  appOf(backend: string): App | undefined
  app(id: string): App | undefined
  /** For the app's log, of a dyno or of the router. */
  tell(app: string, dyno: string, text: string): void
}

export interface Dead {
  /** The last of the routers has found it then, or a panic has ended, ms since the epoch. */
  since: number
  /** Dynos that fail, or recover, at the same moment are found so within so many ms, because each is asked in its own turn. */
  spread: number
}

/** Since when it fails, ms since the epoch, and what was answered. */
interface Trouble {
  since: number
  reason: string
}

/** What one router has told, since it told all that it finds failing. Null: it has said itself that this check passes again. */
interface View {
  since: number
  found: Map<string, Map<WatchKind, Trouble | null>>
}

/**
 * What each router finds of the checks of dynos that serve, put together. The app's log is told once when one of them finds that a check
 * fails, and once when none does any more; likewise when more than half of the dynos fail (panic). A router that has just started finds
 * nothing failing because it has not asked often enough: until it has, its silence means nothing. In memory: whoever connects tells all
 * that fails.
 */
export class Wellness<Router extends object> {
  private readonly parts: WellnessParts
  private readonly views = new Map<Router, View>()
  /** What fails, as the logs have been told. */
  private readonly told = new Map<string, Set<WatchKind>>()
  private readonly panicking = new Set<string>()
  /** When the last panic of an app ended, ms since the epoch. */
  private readonly calm = new Map<string, number>()

  constructor(parts: WellnessParts) {
    this.parts = parts
  }

  /** `reason`: null when it passes again. */
  hear(router: Router, backend: string, { check, reason }: { check: WatchKind; reason: string | null }): void {
    const found = this.views.get(router)?.found
    if (found === undefined || this.parts.appOf(backend) === undefined) return
    const checks = found.get(backend) ?? new Map<WatchKind, Trouble | null>()
    const before = checks.get(check)
    found.set(backend, checks.set(check, reason === null ? null : (before ?? { since: this.parts.now(), reason })))
    this.judge(backend)
  }

  /** All that fails by this router. Returns the backends of which it says something else than before. */
  learn(router: Router, failing: readonly Failing[]): string[] {
    const before = this.views.get(router)
    const found: View['found'] = new Map()
    for (const { backend, check, reason } of failing) {
      if (this.parts.appOf(backend) === undefined) continue
      const known = before?.found.get(backend)?.get(check)
      const checks = found.get(backend) ?? new Map<WatchKind, Trouble | null>()
      found.set(backend, checks.set(check, known ?? { since: this.parts.now(), reason }))
    }
    this.views.set(router, { since: before?.since ?? this.parts.now(), found })
    this.look()
    for (const backend of found.keys()) this.judge(backend)
    const mentioned = new Set([...(before?.found.keys() ?? []), ...found.keys()])
    return [...mentioned].filter((id) => failingIn(before?.found.get(id)) !== failingIn(found.get(id)))
  }

  gone(router: Router): void {
    if (this.views.delete(router)) this.look()
  }

  /** The table has changed. Nothing is said of backends that left it. */
  follow(): void {
    for (const { found } of this.views.values())
      for (const backend of found.keys()) if (this.parts.appOf(backend) === undefined) found.delete(backend)
    for (const backend of this.told.keys()) if (this.parts.appOf(backend) === undefined) this.told.delete(backend)
    this.look()
    for (const id of this.calm.keys()) if (this.parts.app(id) === undefined) this.calm.delete(id)
    for (const id of this.panicking) {
      const app = this.parts.app(id)
      if (app === undefined) this.panicking.delete(id)
      else this.judgeApp(app)
    }
  }

  /** Time has passed. */
  look(): void {
    for (const backend of this.told.keys()) this.judge(backend)
  }

  /** Whether all of these routers, of which there is one, find that its liveness check fails; null when they do not. */
  dead(backend: string, routers: readonly Router[]): Dead | null {
    const watch = this.watchOf(backend, 'liveness')
    if (watch === undefined || routers.length === 0) return null
    let since = this.calm.get(this.parts.appOf(backend)?.id ?? '') ?? 0
    for (const router of routers) {
      const trouble = this.views.get(router)?.found.get(backend)?.get('liveness')
      if (trouble === undefined || trouble === null) return null
      since = Math.max(since, trouble.since)
    }
    return { since, spread: watch.interval + watch.timeout }
  }

  /** So many of the app's dynos fail that it is a shared cause. */
  panics({ backends }: App): boolean {
    const serving = backends.filter(({ mode }) => mode === 'serve')
    return panics(serving.filter(({ id }) => this.told.has(id)).length, serving.length)
  }

  private judge(backend: string): void {
    const app = this.parts.appOf(backend)
    const dyno = app?.backends.find(({ id }) => id === backend)?.dyno
    if (app === undefined || dyno === undefined) return
    const told = this.told.get(backend) ?? new Set()
    for (const kind of ['readiness', 'liveness'] as const) {
      const finds = [...this.views.values()].map((view) => this.find(view, backend, kind))
      const trouble = finds.find((one) => one !== null && one !== undefined)
      const passes = finds.length > 0 && finds.every((one) => one === null)
      if (trouble && !told.has(kind)) {
        told.add(kind)
        this.parts.tell(app.id, dyno, failed(kind, trouble.reason))
      } else if (passes && told.delete(kind)) this.parts.tell(app.id, dyno, passed(kind))
    }
    if (told.size > 0) this.told.set(backend, told)
    else this.told.delete(backend)
    this.judgeApp(app)
  }

  /** Undefined: it cannot know yet. */
  private find({ since, found }: View, backend: string, kind: WatchKind): Trouble | null | undefined {
    const said = found.get(backend)?.get(kind)
    const watch = this.watchOf(backend, kind)
    if (said !== undefined || watch === undefined) return said ?? null
    return this.parts.now() >= since + watch.attempts * watch.interval + watch.timeout ? null : undefined
  }

  private watchOf(backend: string, kind: WatchKind): Watch | undefined {
    return this.parts.appOf(backend)?.backends.find(({ id }) => id === backend)?.checks?.[kind]
  }

  private judgeApp(app: App): void {
    const panic = this.panics(app)
    if (panic === this.panicking.has(app.id)) return
    if (panic) this.panicking.add(app.id)
    else {
      this.panicking.delete(app.id)
      this.calm.set(app.id, this.parts.now())
    }
    this.parts.tell(app.id, 'router', panic ? PANIC : CALM)
  }
}

const failingIn = (checks: ReadonlyMap<WatchKind, Trouble | null> = new Map()): string =>
  [...checks]
    .flatMap(([kind, trouble]) => (trouble === null ? [] : [kind]))
    .sort()
    .join()

/** Ours: Heroku asks nobody for health. */
const failed = (check: WatchKind, reason: string): string =>
  `Health check failed (${check}): ${reason.replace(/[^\x20-\x7e]/g, '?').slice(0, limits.checkTrouble)}`
const passed = (check: WatchKind): string => `Health check passes again (${check})`
const PANIC = 'More than half of the web dynos fail their health check: all of them get requests until fewer do'
const CALM = 'Most web dynos pass their health check again: only those get requests'
