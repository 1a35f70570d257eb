import type { Candidate, Room, Seen, Target } from '../../daemon/run/plan.ts'
import type { DynoState, RolloutState } from '../../daemon/store/schema.ts'
import type { Code } from './history.ts'
import type { Witness } from './witness.ts'

/** The rows of one app, as far as the planner reads them. They outlive the daemon. */
export interface DynoRow {
  id: string
  /** How many of its release and type there have been before. */
  nth: number
  release: string
  type: string
  ordinal: number
  size: string
  state: DynoState
  replace: boolean
  crashes: number
  retryAt: number | null
  exitCode: number | null
  address: string | null
  createdAt: number
  since: number
  oneOff: { endsAt: number; awaitsClient: boolean; clientGone: boolean; lasts: number; attached: boolean } | null
}

export interface ReleaseRow {
  id: string
  version: number
  code: Code
  attended: boolean
  state: RolloutState
  since: number
}

export class Store {
  readonly dynos = new Map<string, DynoRow>()
  readonly releases: ReleaseRow[] = []
  readonly formation: Record<string, { quantity: number; size: string }> = {}
  destroyed = false
  maintenance = false
  serial = false
  /** Memory that others leave to this app, in small dynos. */
  places = Number.POSITIVE_INFINITY
  private readonly witness: Witness
  private readonly now: () => number
  private ids = 0
  private readonly made = new Map<string, number>()
  /** Grows with everything that changes. */
  revision = 0

  constructor(witness: Witness) {
    this.witness = witness
    this.now = witness.sight.now
    witness.formation = this.formation
  }

  insert(row: Omit<DynoRow, 'id' | 'nth'>): DynoRow {
    const kind = `${row.release} ${row.type}`
    const nth = this.made.get(kind) ?? 0
    this.made.set(kind, nth + 1)
    const made = { ...row, nth, id: `dyno ${++this.ids}` }
    this.dynos.set(made.id, made)
    this.revision++
    this.witness.row(made.id, { ...made })
    return made
  }

  /** False when its row is gone or not in one of these states. */
  update(id: string, change: Partial<DynoRow>, from?: DynoState[]): boolean {
    const row = this.dynos.get(id)
    if (!row || (from && !from.includes(row.state))) return false
    Object.assign(row, change)
    this.revision++
    this.witness.row(id, { ...row })
    return true
  }

  delete(id: string): void {
    this.dynos.delete(id)
    this.revision++
    this.witness.row(id, undefined)
  }

  release(code: Code, attended: boolean): void {
    const version = this.releases.length + 1
    for (const [type, there] of [['web', code.web] as const, ['worker', code.worker] as const])
      if (there) this.formation[type] ??= { quantity: type === 'web' ? 1 : 0, size: 'Basic' }
    const row: ReleaseRow = {
      id: `v${version}`,
      version,
      code: { ...code },
      attended,
      state: 'waiting',
      since: this.now(),
    }
    this.releases.push(row)
    this.note(row)
  }

  settle(id: string, state: RolloutState): boolean {
    const row = this.releases.find((one) => one.id === id)
    if (!row || row.state === 'succeeded' || row.state === 'failed') return false
    row.state = state
    row.since = this.now()
    this.note(row)
    if (state === 'succeeded')
      for (const older of this.releases) if (older.version < row.version) this.settle(older.id, 'failed')
    if (state === 'failed') for (const other of this.releases) if (other.state === 'booting') other.since = this.now()
    return true
  }

  /** Formation, maintenance or the app itself is about to change. */
  touch(): void {
    this.revision++
  }

  private note({ id, version, state, code }: ReleaseRow): void {
    this.revision++
    const boots = code.boot === 'well' || code.boot === 'slow'
    const sound =
      this.witness.releases.get(id)?.sound ?? (boots && (code.command === 'none' || code.command === 'passes'))
    const types = [code.web && 'web', code.worker && 'worker'].filter((type) => type !== false)
    this.witness.release({ id, version, state, types, sound })
  }

  get serving(): ReleaseRow | undefined {
    return this.releases.findLast(({ state }) => state === 'succeeded')
  }

  get candidate(): ReleaseRow | undefined {
    const open = this.releases.filter(({ state }) => state !== 'succeeded' && state !== 'failed')
    return open.find(({ state }) => state === 'phase' || state === 'cutover') ?? open.at(-1)
  }

  target({ id, version, code }: ReleaseRow): Target {
    const types = { web: code.web, worker: code.worker }
    const processes = Object.entries(this.formation).flatMap(([type, { quantity, size }]) =>
      quantity > 0 && types[type as keyof typeof types]
        ? [{ type, command: type, size, memory: memoryOf({ size }), quantity }]
        : [],
    )
    return { release: id, version, processes }
  }

  candidateTarget(acknowledged: boolean): Candidate | null {
    const { candidate } = this
    if (!candidate) return null
    const state = candidate.state as Candidate['state']
    const command = candidate.code.command === 'none' ? null : 'release'
    const { since } = candidate
    const phase = { command, commandSize: 'Basic', commandMemory: 1 }
    return { ...this.target(candidate), ...phase, state, since, acknowledged }
  }

  /** What the daemon would reckon: what is there or promised to the slots of the app is not free. */
  room(): Room {
    return this.memory()
  }

  /** More web dynos than slots, and no room for them. */
  get crowded(): boolean {
    const { now, beyond } = this.memory()
    return beyond && now < 0
  }

  private memory(): Room & { beyond: boolean } {
    const rows = [...this.dynos.values()]
    const others = sum(rows.filter((row) => !isWeb(row) && row.state !== 'crashed'))
    const web = rows.filter((row) => isWeb(row) && ['starting', 'up', 'draining', 'stopping'].includes(row.state))
    const passing = web.filter(({ state }) => state === 'draining' || state === 'stopping')
    const { serving } = this
    const own = serving ? this.target(serving).processes.find(({ type }) => type === 'web') : undefined
    const slots = own ? own.quantity * own.memory : 0
    const free = (taken: number) => this.places - others - Math.max(slots, taken)
    return { now: free(sum(web)), soon: free(sum(web) - sum(passing)), beyond: web.length > (own?.quantity ?? 0) }
  }
}

/** In small dynos. */
const memoryOf = ({ size }: { size: string }): number => (size === 'Basic' ? 1 : 2)
const sum = (rows: DynoRow[]): number => rows.reduce((sum, row) => sum + memoryOf(row), 0)
const isWeb = ({ type, oneOff }: DynoRow): boolean => type === 'web' && oneOff === null

/** What the planner sees of a row; the rest it is told by those who know. */
export const seenOf = (
  row: DynoRow,
  known: Pick<Seen, 'container' | 'healthy' | 'drained' | 'bootingSince'>,
): Seen => ({ ...row, ...known })
