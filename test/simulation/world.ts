import { plan } from '../../daemon/run/plan.ts'
import { Agenda } from './agenda.ts'
import { befall, type Ground, pick } from './befall.ts'
import { type Code, type Event, type History, told } from './history.ts'
import { Machine } from './machine.ts'
import { Model, type Planner, times } from './model.ts'
import { Router } from './router.ts'
import { type DynoRow, Store } from './store.ts'
import { Broken, Witness } from './witness.ts'

/** How much simulated time everything has to come to rest when nothing befalls it any more, ms. */
const REST = 3 * 60 * 60_000
/** In which the engine is listed again, so that what nobody told is found. */
const RELIST = 40_000
/** As many passes in so many ms are no endless loop: each list of the engine is one. */
const IDLE_PASSES = 5
const IDLE = 100_000

/** One that has not come so far by then. */
const KILL_WITHIN = 5000

const endless = {
  name: 'comes to rest',
  says: 'When faults end, everything comes to rest in bounded time, and nobody looks again and again.',
}

/** One app, its daemon, its engine and its routers, to which a history happens. */
export class World {
  readonly agenda = new Agenda()
  private readonly said: { at: number; line: string | Event }[] = []
  readonly witness: Witness
  readonly store: Store
  readonly machine: Machine
  readonly routers: Router[]
  private daemon: Model | undefined
  private readonly planner: Planner
  private readonly known = new Set<string>()

  constructor({ routers, serial }: History, planner: Planner = plan) {
    this.planner = planner
    const { agenda } = this
    this.routers = Array.from({ length: routers }, (_, index) => new Router(String(index), this.surroundings()))
    this.witness = new Witness({
      time: () => agenda.now,
      now: agenda.clock.now,
      container: (id) => this.machine.boxes.get(id),
      containers: () => this.machine.boxes.values(),
      routers: this.routers,
      daemon: () => this.daemon !== undefined,
      crowded: () => this.store.crowded,
      behind: (router) => this.daemon?.peers.behind(router) ?? 0,
    })
    this.store = new Store(this.witness)
    this.store.serial = serial
    this.witness.serial = serial
    this.machine = new Machine(agenda, {
      failed: () => this.witness.excuse(),
      made: (box) => this.witness.made(box),
      exited: (box) => this.daemon?.exited(box),
    })
    this.boot()
    for (const router of this.routers) router.connect()
  }

  /** Plays a history and everything that comes of it; throws `Broken`. */
  play({ events }: History): void {
    for (const event of events) {
      const at = this.agenda.now + event.after
      this.until(() => (this.agenda.next ?? Number.POSITIVE_INFINITY) > at)
      this.agenda.now = at
      this.say(event)
      this.happen(event)
      this.store.touch()
      this.daemon?.poke()
      this.look()
    }
    this.calm()
    this.pass(RELIST)
    const end = this.agenda.now + REST
    this.until(() => this.agenda.quiet || this.agenda.now > end)
    if (!this.agenda.quiet) throw new Broken(endless, `${REST} ms later something is still under way`)
    const passes = this.daemon?.passes ?? 0
    this.pass(IDLE)
    const idle = (this.daemon?.passes ?? 0) - passes
    if (idle > IDLE_PASSES) throw new Broken(endless, `${idle} passes in ${IDLE} ms in which nothing happened`)
    this.witness.rest()
  }

  /** What there is, in words. */
  state(): string {
    const dynos = [...this.store.dynos.values()].map(({ id, type, ordinal, release, state }) => {
      const box = this.machine.boxes.get(id)
      return `${id}: ${type}.${ordinal} of ${release}, ${state}, container ${box ? (box.running ? (box.listens ? 'listens' : 'runs') : 'has ended') : 'not there'}`
    })
    const lost = [...this.machine.boxes.keys()]
      .filter((id) => !this.store.dynos.has(id))
      .map((id) => `${id}: no row, container there`)
    const routers = this.routers.map(
      ({ name, route, link, running }) =>
        `router ${name}${running ? '' : ', down'}${link ? '' : ', not connected'}: ${(route?.backends ?? []).map(({ id, mode }) => `${id} ${mode}`).join(', ') || 'no backends'}`,
    )
    const releases = this.store.releases.map(({ id, state }) => `${id}: ${state}`)
    return [`at ${this.agenda.now} ms`, ...releases, ...dynos, ...lost, ...routers].join('\n')
  }

  private until(done: () => boolean): void {
    while (!done()) {
      this.agenda.step()
      this.look()
    }
  }

  private pass(ms: number): void {
    const end = this.agenda.now + ms
    this.until(() => this.agenda.now > end)
  }

  private look = (): void => this.witness.look(times.drain)

  private say(line: string | Event): void {
    this.said.push({ at: this.agenda.now, line })
  }

  /** What has happened, and what the daemon did. */
  log(): string {
    const lines = this.said.map(({ at, line }) => ({ at, text: typeof line === 'string' ? line : `** ${told(line)}` }))
    return lines.map(({ at, text }) => `${String(at).padStart(8)} ms  ${text}`).join('\n')
  }

  private surroundings() {
    return {
      agenda: this.agenda,
      dial: (router: Router) => this.daemon?.peers.accept(router) ?? null,
      listensFrom: (id: string) => this.machine.boxes.get(id)?.listensFrom,
      followed: () => {},
    }
  }

  private boot(): void {
    const { agenda, store, machine, planner, known } = this
    const daemon: Model = new Model(
      {
        ...{ agenda, store, machine, planner, known, look: this.look, log: (line) => this.say(line) },
        ending: (id) => {
          const box = machine.boxes.get(id)
          if (box?.running) this.witness.ending(box)
        },
      },
      () => {
        if (this.daemon === daemon) this.daemon = undefined
        machine.abandon()
        for (const { id, attended } of store.releases) if (attended) this.excuseOne(id)
        for (const router of this.routers) if (router.link) router.disconnect()
      },
    )
    this.daemon = daemon
    this.say('the daemon starts')
  }

  private ground(): Ground {
    return {
      ...{ agenda: this.agenda, machine: this.machine, routers: this.routers, witness: this.witness },
      kill: (steps, downFor) => {
        if (!this.daemon) return
        this.daemon.stepsLeft = steps
        this.agenda.after(steps === 0 ? 0 : KILL_WITHIN, () => this.kill(downFor))
      },
      leave: (places) => {
        this.store.places = places
      },
    }
  }

  private kill(downFor: number): void {
    this.daemon?.die()
    this.agenda.after(downFor, () => {
      if (!this.daemon) this.boot()
    })
  }

  private happen(event: Event): void {
    if ((event.what === 'push' || event.what === 'config' || event.what === 'rollback') && this.store.destroyed) return
    switch (event.what) {
      case 'push':
        return this.daemon && this.store.release(event.code, event.attended)
      case 'config':
      case 'rollback':
        return this.again(event)
      case 'abandon':
        return this.abandon()
      case 'scale':
      case 'resize':
        return this.resize(event)
      case 'restart':
      case 'stop':
        return this.daemon && this.move(event)
      case 'run':
      case 'meet':
      case 'leave':
        return this.daemon && this.oneOff(event)
      case 'maintenance':
        this.store.maintenance = event.on
        return
      case 'destroy':
        this.store.destroyed = true
        this.witness.destroyed = true
        return
      default:
        return befall(event, this.ground())
    }
  }

  private again(event: Event & { what: 'config' | 'rollback' }): void {
    const { releases } = this.store
    const served = releases.filter(({ state }) => state === 'succeeded')
    const base =
      event.what === 'config' ? releases.findLast(({ state }) => state !== 'failed') : pick(served, event.pick)
    if (base && this.daemon) this.store.release(base.code, false)
  }

  private abandon(): void {
    const { candidate } = this.store
    const going = this.store.releases.findLast(
      ({ state, attended }) => attended && !['succeeded', 'failed', 'cutover'].includes(state),
    )
    if (!candidate || !going) return
    this.excuseOne(going.id)
    this.store.settle(going.id, 'failed')
  }

  private excuseOne(id: string): void {
    const release = this.witness.releases.get(id)
    if (release) release.sound = false
  }

  private resize(event: Extract<Event, { what: 'scale' | 'resize' }>): void {
    const row = this.store.formation[event.type]
    if (!row || !this.daemon) return
    if (event.what === 'resize') row.size = event.large ? 'Standard-2X' : 'Basic'
    else {
      row.quantity = event.to
      if (event.to === 0) this.witness.excused = true
    }
  }

  private move(event: Event & { what: 'restart' | 'stop' }): void {
    const inFormation = ({ state, type, oneOff }: DynoRow) =>
      ['starting', 'up', 'crashed'].includes(state) && type !== 'release' && !oneOff
    const rows = [...this.store.dynos.values()]
    if (event.what === 'restart') {
      const there = rows.filter(inFormation)
      const which = event.pick === null ? there : [pick(there, event.pick)]
      for (const row of which) if (row) this.store.update(row.id, { replace: true })
      return
    }
    const row = pick(
      rows.filter(({ state }) => ['starting', 'up', 'crashed'].includes(state)),
      event.pick,
    )
    if (!row) return
    this.witness.asked.add(row.id)
    this.witness.taken(row.id)
    this.excuseOne(row.release)
    const drains = row.type === 'web' && row.state === 'up' && !row.oneOff
    this.store.update(row.id, { state: drains ? 'draining' : 'stopping', since: this.agenda.clock.now() })
  }

  private oneOff(event: Event & { what: 'run' | 'meet' | 'leave' }): void {
    const now = this.agenda.clock.now()
    if (event.what === 'run') {
      const { serving } = this.store
      if (!serving || this.store.destroyed) return
      const { client, lasts, limit } = event
      const fresh = {
        state: 'starting',
        replace: false,
        crashes: 0,
        retryAt: null,
        exitCode: null,
        address: null,
      } as const
      const ordinal = 1000 + this.store.dynos.size + this.agenda.now
      const oneOff = { endsAt: now + limit, awaitsClient: client, clientGone: false, lasts, attached: client }
      this.store.insert({
        release: serving.id,
        type: 'run',
        ordinal,
        size: 'Basic',
        ...fresh,
        createdAt: now,
        since: now,
        oneOff,
      })
      return
    }
    const there = [...this.store.dynos.values()].filter(
      ({ oneOff, state }) => oneOff?.attached && ['starting', 'up'].includes(state),
    )
    const row = pick(there, event.pick)
    if (!row?.oneOff) return
    if (event.what === 'meet') this.store.update(row.id, { oneOff: { ...row.oneOff, awaitsClient: false } })
    else this.store.update(row.id, { oneOff: { ...row.oneOff, clientGone: true }, state: 'stopping', since: now })
  }

  /** From here on nothing fails, nothing is slow, and everybody comes back. */
  private calm(): void {
    this.say('** all faults end')
    this.machine.starts.length = 0
    this.machine.ends.length = 0
    this.store.places = Number.POSITIVE_INFINITY
    for (const router of this.routers) router.calm()
    if (this.daemon) this.daemon.stepsLeft = Number.POSITIVE_INFINITY
    const served = new Set(this.store.releases.filter(({ state }) => state === 'succeeded').map(({ code }) => code))
    for (const code of served) this.mend(code)
  }

  private mend(code: Code): void {
    code.boot = 'well'
  }
}
