import { binding, boundTo } from './affinity.ts'
import type { Backend } from './backend.ts'
import type { Backlog, Waiter } from './backlog.ts'
import { eligible, lessBusy } from './choice.ts'
import { now } from './clock.ts'
import type { Fields } from './fields.ts'
import type { RequestHead } from './head.ts'
import type { Code } from './page.ts'
import type { App, Router } from './router.ts'

/** What a request is to do next. */
export type Found =
  /** `more`: fields of ours for the response. */
  | { kind: 'backend'; backend: Backend; more: Fields }
  /** `otherwise`: how it ends when nothing has come up by then, ms since the epoch. */
  | { kind: 'wait'; until: number; otherwise: Code }
  | { kind: 'nobody'; code: Code }

/**
 * One request's search for a backend, and its place in the app's backlog.
 *
 * How long it waits is the app's to say. One that every backend has refused ends with what the last of them did (H19, H21), one that was
 * not let try because others had been refused with H99, as Heroku's router has it.
 */
export class Search {
  private readonly router: Router
  private readonly head: RequestHead
  private readonly secure: boolean
  private readonly waiter: Waiter
  private readonly begunAt: number
  private tried: readonly Backend[] = NOBODY
  private timedOut = false
  /** That counts the request. */
  private backlog: Backlog | null = null

  constructor(router: Router, request: { head: RequestHead; secure: boolean; begunAt: number }, waiter: Waiter) {
    this.router = router
    this.head = request.head
    this.secure = request.secure
    this.begunAt = request.begunAt
    this.waiter = waiter
  }

  in(app: App): Found {
    const { limits } = this.router
    if (app.route.maintenance) return nobody('H80')
    if (!this.enter(app)) return nobody('H11')
    if (app.backlog.holds(this.waiter)) return this.wait(app, 'H99', limits.hold)
    const found = this.choose(app)
    if (found !== undefined) return found
    return app.serving.length > 0 ? this.unreached(app) : this.unserved(app)
  }

  /** The backend could not be connected to. */
  failed(backend: Backend, timedOut: boolean): void {
    if (timedOut) backend.quarantine.timedOut(now())
    else backend.quarantine.refused(now())
    this.tried = [...this.tried, backend]
    this.timedOut = timedOut
  }

  /** The request has a backend. */
  reached(): void {
    this.backlog?.reached(this.waiter)
  }

  /** All of them may be tried again. */
  anew(): void {
    this.tried = NOBODY
  }

  /** The request has ended, or become a tunnel. */
  leave(): void {
    const { backlog } = this
    if (backlog === null) return
    this.backlog = null
    backlog.requests--
    backlog.forget(this.waiter)
  }

  /** False when the app has all the requests that it may have. */
  private enter({ backlog }: App): boolean {
    if (this.backlog === backlog) return true
    this.leave()
    if (backlog.requests >= backlog.most) return false
    backlog.requests++
    this.backlog = backlog
    return true
  }

  private choose({ route, serving }: App): Found | undefined {
    const { tried, router, head } = this
    if (tried.length >= router.limits.attempts) return undefined
    const from = eligible(serving, { tried, most: router.perBackend, now: now() })
    const backend = (route.affinity === true ? boundTo(head.fields, from) : undefined) ?? lessBusy(from)
    if (backend === undefined) return undefined
    return {
      kind: 'backend',
      backend,
      more: route.affinity === true ? binding(head.fields, backend, this.secure) : NONE,
    }
  }

  /** There are backends, and none that could be reached. */
  private unreached(app: App): Found {
    const { tried, router } = this
    const code = this.timedOut ? 'H19' : 'H21'
    const time = now()
    if (!app.serving.every((one) => tried.includes(one) || one.quarantine.until > time))
      return nobody(tried.length < router.limits.attempts ? 'H22' : code)
    const found = this.wait(app, code, router.limits.hold)
    if (found.kind === 'wait') app.backlog.refused(this.waiter)
    return found
  }

  private unserved(app: App): Found {
    switch (app.route.empty) {
      case 'blank':
        return nobody('H81')
      case 'none':
        return nobody('H14')
      case 'crashed':
        return this.wait(app, 'H10', 0)
      case 'starting':
        return this.wait(app, 'H20', this.router.limits.boot)
      default:
        return app.route.empty satisfies never
    }
  }

  /** `standard`: how long when the app says nothing, ms. */
  private wait({ route, backlog }: App, otherwise: Code, standard: number): Found {
    const { limits, waiting } = this.router
    const until = this.begunAt + (route.hold ?? standard)
    if (now() >= until) return nobody(otherwise)
    if (waiting >= limits.waiting) return nobody('H11')
    backlog.wait(this.waiter)
    return { kind: 'wait', until, otherwise }
  }
}

const NONE: Fields = []
const NOBODY: readonly Backend[] = []

const nobody = (code: Code): Found => ({ kind: 'nobody', code })
