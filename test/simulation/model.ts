import { limits } from '../../daemon/limits.ts'
import { drainTime } from '../../daemon/route/grace.ts'
import { backoff, crashesAfter } from '../../daemon/run/backoff.ts'
import type { ContainerState } from '../../daemon/run/placement.ts'
import type { Plan, plan, Step } from '../../daemon/run/plan.ts'
import type { Agenda } from './agenda.ts'
import { boots, type Machine, type Order, type Placed, runs } from './machine.ts'
import { Peers } from './peers.ts'
import { type DynoRow, type Store, seenOf } from './store.ts'
import { Broken } from './witness.ts'

export type Planner = typeof plan

export const times = {
  boot: limits.boot,
  drain: drainTime(undefined),
  releaseCommand: 5 * 60_000,
  roomWait: limits.roomWait,
}

const ROUNDS = 100
const LIST_AGAIN = 30_000
const LIST_TAKES = 50
const SOON = 1
const STOP_AGAIN = 500

const restless = {
  name: 'comes to rest',
  says: 'A plan comes to rest: after a few rounds nothing is left to do but to wait.',
}

export interface Surroundings {
  agenda: Agenda
  store: Store
  machine: Machine
  planner: Planner
  /** Names of the routers that may serve, as the daemon has them in a file. */
  known: Set<string>
  /** What was done, for people. */
  log(line: string): void
  /** After each step. */
  look(): void
  /** The engine is told to end this dyno. */
  ending(id: string): void
}

/**
 * One life of the daemon: what it remembers, and its passes, as run/reconcile.ts, run/steps.ts and run/placement.ts have them but for the
 * waiting. It dies between any two steps.
 */
export class Model {
  readonly peers: Peers
  alive = true
  /** Steps until it is killed. */
  stepsLeft = Number.POSITIVE_INFINITY
  passes = 0
  private known = false
  /** Revision of the rows that the table was made from. */
  private published = -1
  private readonly placed = new Map<string, Placed>()
  private readonly pending = new Map<string, 'launch' | 'stop'>()
  private readonly failures = new Set<string>()
  /** Ends that were told before the answer to the start. */
  private readonly early = new Map<string, Placed>()
  private readonly newer = new Set<Set<string>>()
  private readonly world: Surroundings
  private poked = false
  private cancelAlarm = () => {}
  /** How it ended, when it was killed. */
  private readonly died: () => void

  constructor(world: Surroundings, died: () => void) {
    this.world = world
    this.died = died
    const { agenda, store } = world
    this.peers = new Peers(agenda.clock, () => this.poke(), world.known)
    for (const { id, attended } of store.releases) if (attended) store.settle(id, 'failed')
    for (const { id, oneOff } of store.dynos.values())
      if (oneOff?.attached)
        store.update(id, { oneOff: { ...oneOff, clientGone: true }, state: 'stopping', since: this.now }, [
          'starting',
          'up',
        ])
    this.publish()
    this.list(false)
    this.every(LIST_AGAIN, () => this.list(true))
    this.every(Peers.pingEvery, () => this.peers.ping())
  }

  private get now(): number {
    return this.world.agenda.clock.now()
  }

  private every(ms: number, act: () => void): void {
    this.world.agenda.after(
      ms,
      () => {
        if (!this.alive) return
        act()
        this.every(ms, act)
      },
      true,
    )
  }

  /** For what comes back to it: nothing does when it is dead. */
  private heard<T extends unknown[]>(act: (...values: T) => void): (...values: T) => void {
    return (...values) => {
      if (this.alive) act(...values)
    }
  }

  die(): void {
    if (!this.alive) return
    this.alive = false
    this.cancelAlarm()
    this.peers.die()
    this.world.log('the daemon is killed')
    this.died()
  }

  poke(): void {
    if (!this.alive || this.poked) return
    this.poked = true
    this.world.agenda.after(SOON, () => {
      this.poked = false
      if (this.alive) this.pass()
    })
  }

  exited(box: Placed): void {
    if (this.pending.get(box.id) === 'launch') this.early.set(box.id, box)
    if (!this.placed.get(box.id)?.running) return
    for (const ids of this.newer) ids.add(box.id)
    this.placed.set(box.id, box)
    this.poke()
  }

  private list(idle: boolean): void {
    const outdated = new Set<string>()
    this.newer.add(outdated)
    const found = this.world.machine.list()
    this.world.agenda.after(
      LIST_TAKES,
      this.heard(() => {
        this.newer.delete(outdated)
        this.believe(new Map(found.map((one) => [one.id, one])), (id) => this.pending.has(id) || outdated.has(id))
        this.known = true
        this.poke()
      }),
      idle,
    )
  }

  private believe(found: Map<string, Placed>, newerKnown: (id: string) => boolean): void {
    for (const id of this.placed.keys()) if (!found.has(id) && !newerKnown(id)) this.placed.delete(id)
    for (const now of found.values())
      if (newerKnown(now.id)) continue
      else if (this.world.store.dynos.has(now.id)) this.placed.set(now.id, now)
      else this.stop(now.id, 0)
  }

  private state(id: string): ContainerState {
    if (this.pending.has(id)) return 'pending'
    const one = this.placed.get(id)
    if (!one) return this.failures.has(id) ? 'failed' : 'none'
    return one.running ? 'running' : 'exited'
  }

  private plan(): Plan {
    const { store, planner } = this.world
    const candidate = store.candidateTarget(true)
    const routed = candidate?.processes.some(({ type }) => type === 'web')
    if (candidate) candidate.acknowledged = candidate.state === 'cutover' && (!routed || this.peers.acknowledged('app'))
    const wanted = store.destroyed
      ? { serving: null, candidate: null, destroyed: true, serial: false }
      : {
          serving: store.serving ? store.target(store.serving) : null,
          candidate,
          destroyed: false,
          serial: store.serial,
        }
    const dynos = [...store.dynos.values()].map((row) => {
      const isWeb = row.type === 'web' && !row.oneOff
      const { connectedSince } = this.peers
      const startedAt = this.placed.get(row.id)?.running ? this.placed.get(row.id)?.startedAt : undefined
      return seenOf(row, {
        container: this.state(row.id),
        healthy: isWeb && this.peers.healthy(row.id),
        drained: row.state === 'draining' && (store.destroyed || this.peers.drained(row.id)),
        bootingSince:
          isWeb && startedAt !== undefined && connectedSince !== null
            ? Math.max(startedAt + this.world.agenda.offset, connectedSince)
            : null,
      })
    })
    return planner(wanted, dynos, this.now, times, store.room())
  }

  private pass(): void {
    this.passes++
    this.cancelAlarm()
    if (!this.known) return
    const { store } = this.world
    for (let round = 0; round < ROUNDS; round++) {
      for (const { id, running } of this.placed.values())
        if (running && store.dynos.get(id)?.address === null) store.update(id, { address: id }, ['starting', 'up'])
      this.publish()
      const { steps, wakeAt } = this.plan()
      if (steps.length === 0) {
        if (wakeAt !== null) this.cancelAlarm = this.world.agenda.clock.at(wakeAt, () => this.poke())
        return
      }
      for (const step of steps) {
        if (this.stepsLeft-- <= 0) return this.die()
        this.world.log(stepTold(step))
        this.perform(step)
        this.world.look()
      }
    }
    throw new Broken(restless, `${ROUNDS} rounds at ${this.world.agenda.now} ms`)
  }

  private publish(): void {
    const { store } = this.world
    if (store.revision === this.published) return
    this.published = store.revision
    const { serving, candidate } = store
    const release = candidate?.state === 'cutover' ? candidate : serving
    const dynos = [...store.dynos.values()].filter(({ type, oneOff }) => type === 'web' && !oneOff)
    this.peers.publish(
      store.destroyed
        ? null
        : {
            ...{ id: 'app', name: 'app', maintenance: store.maintenance, wishes: {}, domains: [] },
            release: release?.id ?? null,
            candidate: candidate?.id ?? null,
            web: release?.code.web ? (store.formation.web?.quantity ?? 0) : 0,
            dynos: dynos.map((row) => ({ ...row, port: 5000, checks: null })),
          },
    )
  }

  private perform(step: Step): void {
    const { store } = this.world
    switch (step.do) {
      case 'start': {
        const { release, type, ordinal, size, crashes, beyond } = step
        if (beyond > 0 && beyond > store.room().now) return
        const fresh = {
          state: 'starting',
          replace: false,
          retryAt: null,
          exitCode: null,
          address: null,
          oneOff: null,
        } as const
        store.insert({ release, type, ordinal, size, crashes, ...fresh, createdAt: this.now, since: this.now })
        return
      }
      case 'advance':
        store.settle(step.release, step.to)
        return
      case 'fail':
        store.settle(step.release, 'failed')
        return
      default: {
        const row = store.dynos.get(step.dyno)
        if (row) this.performOn(step, row)
      }
    }
  }

  private performOn(step: Exclude<Step, { do: 'start' | 'advance' | 'fail' }>, row: DynoRow): void {
    const { store } = this.world
    const { id } = row
    const since = this.now
    switch (step.do) {
      case 'launch':
        return this.launch(row)
      case 'up':
        store.update(id, { state: 'up', since }, ['starting'])
        return
      case 'ended':
        store.update(id, { state: 'down', since, exitCode: this.placed.get(id)?.exitCode ?? null }, ['starting', 'up'])
        return
      case 'crashed': {
        const crashes = crashesAfter(row.crashes, row.state === 'up' ? since - row.since : 0)
        const change = { state: 'crashed', crashes, retryAt: since + backoff(crashes), since } as const
        if (store.update(id, change, ['starting', 'up']) && step.why === 'boot timeout') this.stop(id, 0)
        return
      }
      case 'clear':
        return this.stop(id, limits.stopGrace)
      case 'cycle':
        store.update(id, { replace: true }, ['up'])
        return
      case 'drain':
        store.update(id, { state: 'draining', since }, ['up'])
        return
      case 'stop':
        return this.retire(row)
      default:
        return step satisfies never
    }
  }

  private retire({ id, state, oneOff }: DynoRow): void {
    const { store } = this.world
    if (state !== 'stopping') store.update(id, { state: 'stopping', since: this.now })
    const container = this.state(id)
    if (container === 'pending') return
    if (container !== 'none') return this.stop(id, limits.stopGrace + (oneOff?.clientGone ? limits.hangup : 0))
    store.delete(id)
    this.failures.delete(id)
  }

  private launch(row: DynoRow): void {
    const { machine } = this.world
    const { id } = row
    if (this.pending.has(id)) return
    this.pending.set(id, 'launch')
    machine.start(
      this.order(row),
      this.heard((one) => {
        if (this.pending.get(id) !== 'launch') return
        if (one) this.placed.set(id, one)
        else this.failures.add(id)
        const end = this.early.get(id)
        this.early.delete(id)
        if (end && one) this.placed.set(id, end)
        this.settle(id)
      }),
    )
  }

  private stop(id: string, grace: number): void {
    if (this.pending.get(id) === 'stop') return
    this.pending.set(id, 'stop')
    this.world.ending(id)
    this.world.machine.stop(
      id,
      grace,
      this.heard((done) => {
        if (!done)
          return void this.world.agenda.after(
            STOP_AGAIN,
            this.heard(() => this.settle(id)),
          )
        this.placed.delete(id)
        this.failures.delete(id)
        this.settle(id)
      }),
    )
  }

  private settle(id: string): void {
    this.pending.delete(id)
    for (const ids of this.newer) ids.add(id)
    this.poke()
  }

  private order({ id, nth, release, type, ordinal, oneOff }: DynoRow): Order {
    const code = this.world.store.releases.find((one) => one.id === release)?.code
    const what = { id, release, type, ordinal, oneOff: oneOff !== null }
    if (oneOff) return { ...what, ends: { after: oneOff.lasts, code: 0 }, listens: null }
    if (type === 'release' && code) return { ...what, ...runs(code) }
    return type === 'web' && code ? { ...what, ...boots(code, nth) } : { ...what, ends: null, listens: null }
  }
}

function stepTold(step: Step): string {
  switch (step.do) {
    case 'start':
      return `start ${step.type}.${step.ordinal} of ${step.release}`
    case 'advance':
      return `${step.release} is ${step.to}`
    case 'fail':
      return `${step.release} fails: ${step.why}`
    case 'crashed':
      return `${step.dyno} crashed: ${step.why}`
    default:
      return `${step.do} ${step.dyno}`
  }
}
