import { type Checks, type Failing, WATCHES, type Watch, type WatchKind } from './check.ts'
import { ask, type Place } from './health.ts'
import type { Limits } from './limits.ts'
import type { Backend, Table } from './protocol.ts'
import { Pulse } from './pulse.ts'

export interface RoundsEvents {
  /** One that is unwell gets requests only when there is nobody better. */
  wellness(backend: string, unwell: boolean): void
  /** `reason`: null when it passes again. */
  checked(backend: string, check: WatchKind, reason: string | null): void
}

/** Whoever asks, and the clock; real ones when absent. */
export interface Means {
  ask(place: Place, host: string, check: Watch): Promise<string | null>
  /** Returns what cancels it. */
  after(ms: number, what: () => void): () => void
  now(): number
  random(): number
}

/** What was asked since the start. */
export interface Asked {
  passed: number
  failed: number
}

/**
 * The checks of backends in mode `serve`, asked by one process for all, again and again: each at a random moment first, so that they are
 * spread in time, then at its interval. So many at once over all apps; the others wait for their turn. One that fails is told once, and
 * once when it passes again. A backend is unwell while any of its checks fails.
 */
export class Rounds {
  readonly asked: Asked = { passed: 0, failed: 0 }
  private readonly limits: Pick<Limits, 'checksAtOnce'>
  private readonly events: RoundsEvents
  private readonly means: Means
  private patients = new Map<string, Patient>()
  private underway = 0
  private readonly waiting: Round[] = []

  constructor(limits: Pick<Limits, 'checksAtOnce'>, events: RoundsEvents, means: Partial<Means> = {}) {
    this.limits = limits
    this.events = events
    this.means = { ask, after, now: Date.now, random: Math.random, ...means }
  }

  /** Whoever keeps place and rules keeps its state. */
  follow(table: Table): void {
    const before = this.patients
    this.patients = new Map()
    for (const { backends } of table.apps)
      for (const route of backends) {
        if (route.mode !== 'serve' || route.checks === undefined) continue
        const known = before.get(route.id)
        const patient = known !== undefined && isOf(known, route) ? known : patientOf(route)
        this.patients.set(route.id, patient)
        // among thousands it is the same object, unless its app has changed
        if (patient.checks !== route.checks) this.instruct(patient, route.id, route.checks)
      }
    for (const [id, patient] of before) if (this.patients.get(id) !== patient) this.discharge(id, patient)
  }

  /** Those that fail now. */
  failing(): Failing[] {
    return [...this.patients].flatMap(([backend, { rounds }]) =>
      [...rounds].flatMap(([check, { pulse }]) =>
        pulse.trouble === null ? [] : [{ backend, check, reason: pulse.trouble }],
      ),
    )
  }

  /** Goes on with what another process has found. */
  adopt(failing: readonly Failing[]): void {
    for (const { backend, check, reason } of failing) {
      const round = this.patients.get(backend)?.rounds.get(check)
      if (round === undefined) continue
      round.pulse = new Pulse(reason)
      this.events.wellness(backend, true)
    }
  }

  close(): void {
    for (const { rounds } of this.patients.values()) for (const round of rounds.values()) end(round)
    this.patients = new Map()
  }

  private instruct(patient: Patient, id: string, checks: Checks): void {
    const { host } = checks
    patient.checks = checks
    for (const kind of WATCHES) {
      const rule = checks[kind]
      if (rule === undefined) continue
      const known = patient.rounds.get(kind)
      const round = known ?? { id, kind, patient, rule, host, pulse: new Pulse(), over: false, cancel() {} }
      Object.assign(round, { rule, host })
      if (known === undefined) this.schedule(round, this.means.random() * rule.interval)
      patient.rounds.set(kind, round)
    }
  }

  private discharge(id: string, patient: Patient): void {
    for (const round of patient.rounds.values()) end(round)
    if (isUnwell(patient)) this.events.wellness(id, false)
  }

  private schedule(round: Round, ms: number): void {
    round.cancel = this.means.after(ms, () => {
      if (this.underway < this.limits.checksAtOnce) void this.visit(round)
      else this.waiting.push(round)
    })
  }

  private async visit(round: Round): Promise<void> {
    const { ask, now } = this.means
    const began = now()
    this.underway++
    const trouble = await ask(round.patient, round.host, round.rule)
    this.underway--
    if (!round.over) {
      this.note(round, trouble)
      this.schedule(round, Math.max(0, began + round.rule.interval - now()))
    }
    let next = this.waiting.shift()
    while (next?.over) next = this.waiting.shift()
    if (next !== undefined) void this.visit(next)
  }

  private note(round: Round, trouble: string | null): void {
    const { id, kind, patient, pulse, rule } = round
    this.asked[trouble === null ? 'passed' : 'failed']++
    const before = isUnwell(patient)
    if (!pulse.note(trouble, rule.attempts)) return
    if (isUnwell(patient) !== before) this.events.wellness(id, !before)
    this.events.checked(id, kind, pulse.trouble)
  }
}

interface Patient extends Place {
  /** That it is asked by. */
  checks: Checks | null
  rounds: Map<WatchKind, Round>
}

/** One check of one backend, from one question to the next. */
interface Round {
  id: string
  kind: WatchKind
  patient: Patient
  rule: Watch
  host: string
  pulse: Pulse
  /** It is asked no more. */
  over: boolean
  cancel(): void
}

const patientOf = ({ address, port }: Backend): Patient => ({
  ...{ address, port, checks: null, rounds: new Map() },
})

const isOf = ({ address, port, checks, rounds }: Patient, route: Backend): boolean =>
  address === route.address &&
  port === route.port &&
  (checks === route.checks || WATCHES.every((kind) => rounds.has(kind) === (route.checks?.[kind] !== undefined)))

const isUnwell = ({ rounds }: Patient): boolean => [...rounds.values()].some(({ pulse }) => pulse.trouble !== null)

function end(round: Round): void {
  round.over = true
  round.cancel()
}

function after(ms: number, what: () => void): () => void {
  const timer = setTimeout(what, ms)
  return () => clearTimeout(timer)
}
