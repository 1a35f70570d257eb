import { limits } from '../../daemon/limits.ts'
import type { DynoState, RolloutState } from '../../daemon/store/schema.ts'
import type { Router } from './router.ts'
import { always, atRest, type Finding, ofContainer, ofDyno, ofRelease } from './rules.ts'

export interface Release {
  id: string
  version: number
  state: RolloutState
  types: string[]
  /** When it got its state, true time. */
  since: number
  /** Nothing has happened since it was made that it may fail for, and its code is sound. */
  sound: boolean
  /** Version of the release that brought its code, where that is known. */
  code?: number
  /** A later one came to serve in its place. */
  superseded?: boolean
}

/** A dyno as its row has it. */
export interface Row {
  id: string
  release: string
  type: string
  ordinal: number
  size: string
  state: DynoState
  /** When it got its state, and when it may be started again, by the daemon's clock. */
  since: number
  crashes: number
  retryAt: number | null
  replace: boolean
  oneOff: { endsAt: number; attached: boolean; clientGone: boolean } | null
}

/** What there really is. */
export interface Container {
  id: string
  release: string
  type: string
  ordinal: number
  oneOff: boolean
  running: boolean
  /** Accepts connections. */
  listens: boolean
}

export class Broken extends Error {
  readonly rule: string

  constructor({ name, says }: { name: string; says: string }, what: string) {
    super(`${says}\n  ${what}`)
    this.rule = name
  }
}

export interface Sight {
  /** True time, ms. */
  time(): number
  /** By the daemon's clock. */
  now(): number
  /** What is true of a container at this moment. */
  container(id: string): Container | undefined
  containers(): Iterable<Container>
  routers: readonly Router[]
  /** There is a daemon. */
  daemon(): boolean
  /** There are more web dynos than slots, and no room for them. */
  crowded(): boolean
  /** Versions of the table that this router does not follow yet. */
  behind(router: Router): number
}

/** Sees rows, containers and routers change, and knows what has to hold of it: the rules are in rules.ts. Throws `Broken`. */
export class Witness {
  readonly sight: Sight
  formation: Record<string, { quantity: number; size: string }> = {}
  destroyed = false
  serial = false
  /** There may be no room for all web dynos of two releases. */
  tight = false
  readonly releases = new Map<string, Release>()
  readonly rows = new Map<string, Row>()
  /** When each dyno began to drain, by the daemon's clock. */
  readonly drainingSince = new Map<string, number>()
  /** Dynos that somebody asked to be stopped now. */
  readonly asked = new Set<string>()
  /** How often the engine has made a container of this dyno; how often the release command of a release. */
  readonly starts = new Map<string, number>()
  readonly commands = new Map<string, number>()
  /** Routers that no daemon has had for so long that nobody has to wait for them, until one has them again. */
  readonly lost = new Set<Router>()
  /** These, and those that are late for longer than a drain lasts. */
  readonly left = new Set<Router>()
  /** Taken before anybody had heard that they run. */
  readonly unheard = new Set<string>()
  /** Taken, while their rows may not know it. */
  private readonly gone = new Set<string>()
  /** Since when each is behind. */
  private readonly lateSince = new Map<Router, number>()
  /** When no daemon had any of the routers, last, true time. */
  private aloneAt = 0
  /** Which had a dyno to send a request to when it was looked at last. */
  readonly served = new Set<Router>()
  /** A fault, or a person, has taken dynos that had requests; until all are up again nobody is to blame. */
  excused = false

  constructor(sight: Sight) {
    this.sight = sight
  }

  get serving(): Release | undefined {
    let newest: Release | undefined
    for (const one of this.releases.values())
      if (one.state === 'succeeded' && one.version > (newest?.version ?? 0)) newest = one
    return newest
  }

  /** Whose dynos get the requests: the one in cutover, else the one that serves. */
  get public(): Release | undefined {
    for (const one of this.releases.values()) if (one.state === 'cutover') return one
    return this.serving
  }

  /** The web slots that a release is to fill. */
  slots(release: Release, type = 'web'): number {
    return release.types.includes(type) ? (this.formation[type]?.quantity ?? 0) : 0
  }

  row(id: string, after: Row | undefined): void {
    const before = this.rows.get(id)
    if (after) this.rows.set(id, after)
    else this.rows.delete(id)
    if (after?.state === 'draining' && before?.state !== 'draining') this.drainingSince.set(id, after.since)
    for (const rule of ofDyno) this.ask(rule, rule.check(this, before, after))
  }

  release(told: Omit<Release, 'since'>): void {
    const before = this.releases.get(told.id)?.state
    const after = { ...told, since: this.sight.time() }
    this.releases.set(after.id, after)
    if (after.state === 'failed')
      for (const one of this.releases.values()) if (one.code === after.version) one.sound = false
    this.attend()
    if (before !== after.state) for (const rule of ofRelease) this.ask(rule, rule.check(this, before, after))
  }

  /** The engine has made a container that was not there. */
  made(container: Container): void {
    this.starts.set(container.id, (this.starts.get(container.id) ?? 0) + 1)
    if (container.type === 'release' && !container.oneOff)
      this.commands.set(container.release, (this.commands.get(container.release) ?? 0) + 1)
    for (const rule of ofContainer) this.ask(rule, rule.check(this, container, 'made'))
  }

  /** The engine is told by the daemon to end one that runs. */
  ending(container: Container): void {
    for (const rule of ofContainer) this.ask(rule, rule.check(this, container, 'ending'))
  }

  /** A fault takes a container, or a person a dyno: requests may fail until the formation is whole again. */
  taken(id: string): void {
    const row = this.rows.get(id)
    if (row?.state === 'starting') this.unheard.add(id)
    if (row?.type !== 'web' || !['starting', 'up', 'draining'].includes(row.state)) return
    this.excused = true
    this.gone.add(id)
  }

  /** Something has befallen the platform for which a release may fail that is on its way. */
  excuse(): void {
    for (const release of this.releases.values())
      if (release.state !== 'succeeded' && release.state !== 'failed') release.sound = false
  }

  /** After each thing that has happened. */
  look(drain: number): void {
    this.attend()
    for (const router of this.sight.routers) this.notice(router, drain)
    for (const rule of always) this.ask(rule, rule.check(this))
    for (const router of this.sight.routers)
      if (this.reaches(router)) this.served.add(router)
      else this.served.delete(router)
    if (this.excused && this.whole()) this.excused = false
  }

  rest(): void {
    for (const rule of atRest) this.ask(rule, rule.check(this))
  }

  /** A request by this router finds a dyno. */
  reaches(router: Router): boolean {
    return (
      router.running &&
      (router.route?.backends.some(({ id, mode }) => mode === 'serve' && this.sight.container(id)?.listens) ?? false)
    )
  }

  /** Who is lost at this moment. */
  private attend(): void {
    const { sight } = this
    if (sight.routers.every(({ awaySince }) => awaySince !== null)) this.aloneAt = sight.time()
    for (const router of sight.routers) {
      const { awaySince, version } = router
      if (awaySince === null) this.lost.delete(router)
      else if (version === 0 || sight.time() - Math.max(awaySince, this.aloneAt) >= limits.routerReturn)
        this.lost.add(router)
    }
  }

  private notice(router: Router, drain: number): void {
    const { sight } = this
    if (!sight.daemon()) return
    const behind = sight.behind(router) > 0
    const since = behind ? (this.lateSince.get(router) ?? sight.now()) : sight.now()
    this.lateSince.set(router, since)
    if (this.lost.has(router) || sight.now() - since >= drain) this.left.add(router)
    else if (!behind && router.awaySince === null) this.left.delete(router)
  }

  /** Every slot of the release that serves is filled, and every router that counts knows it. */
  private whole(): boolean {
    const { public: release, sight } = this
    for (const id of this.gone) {
      const state = this.rows.get(id)?.state
      if (state === 'starting' || state === 'up') return false
    }
    if (!release) return true
    if (this.slots(release) === 0) return false
    const up = [...this.rows.values()].filter(
      ({ release: of, type, state, oneOff, id, ordinal }) =>
        of === release.id &&
        ordinal <= this.slots(release) &&
        type === 'web' &&
        state === 'up' &&
        !oneOff &&
        sight.container(id)?.listens,
    )
    return (
      up.length >= this.slots(release) &&
      sight.routers.every(
        (router) => this.left.has(router) || (sight.behind(router) === 0 && up.every(({ id }) => router.serves(id))),
      )
    )
  }

  private ask(rule: { name: string; says: string }, found: Finding): void {
    if (found) throw new Broken(rule, found)
  }
}
