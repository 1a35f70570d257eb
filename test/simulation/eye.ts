import { CompiledQuery } from 'kysely'
import type { Dyno } from '../../daemon/run/dyno.ts'
import { oneOffOf } from '../../daemon/run/oneoff.ts'
import { type Db, openDatabase } from '../../daemon/store/database.ts'
import type { RolloutState } from '../../daemon/store/schema.ts'
import type { Seal } from '../../daemon/store/seal.ts'
import type { Row, Witness } from './witness.ts'

const dyno = `json_object('id', new.id, 'release_id', new.release_id, 'type', new.type, 'ordinal', new.ordinal, 'size', new.size,
  'state', new.state, 'updated_at', new.updated_at, 'retry_at', new.retry_at, 'crashes', new.crashes, 'replace', new.replace, 'one_off', new.one_off)`
const rollout = `json_object('version', new.version, 'state', new.state, 'superseded', new.superseded_by,
  'slug', (SELECT slug_id FROM releases WHERE id = new.release_id), 'code', (SELECT code_version FROM releases WHERE id = new.release_id))`

/** Has every change of a dyno or a rollout written down in its order. */
const TRIGGERS = [
  'CREATE TABLE journal (seq INTEGER PRIMARY KEY, what TEXT, id TEXT, row TEXT)',
  ...['INSERT', 'UPDATE'].flatMap((when) => [
    `CREATE TRIGGER dyno_${when} AFTER ${when} ON dynos BEGIN INSERT INTO journal (what, id, row) VALUES ('dyno', new.id, ${dyno}); END`,
    `CREATE TRIGGER rollout_${when} AFTER ${when} ON rollouts BEGIN INSERT INTO journal (what, id, row) VALUES ('rollout', new.release_id, ${rollout}); END`,
  ]),
  `CREATE TRIGGER dyno_gone AFTER DELETE ON dynos BEGIN INSERT INTO journal (what, id) VALUES ('dyno', old.id); END`,
]

export async function writeJournal(path: string): Promise<void> {
  const db = await openDatabase(path)
  for (const trigger of TRIGGERS) await db.executeQuery(CompiledQuery.raw(trigger))
  await db.destroy()
}

interface Entry {
  seq: number
  what: 'dyno' | 'rollout'
  id: string
  row: string | null
}

/** A rollout as the journal has it. */
interface Entered {
  version: number
  state: RolloutState
  slug: string | null
  superseded: number | null
  code: number
}

/** Tells the witness what has changed in the rows, one change after the other. */
export class Eye {
  readonly db: Db
  readonly seal: Seal
  private readonly witness: Witness
  private readonly sound: (slug: string) => boolean
  private readonly told: (line: string) => void
  private seen = 0

  constructor(
    { db, seal }: { db: Db; seal: Seal },
    witness: Witness,
    on: { sound: (slug: string) => boolean; told: (line: string) => void },
  ) {
    this.db = db
    this.seal = seal
    this.witness = witness
    this.sound = on.sound
    this.told = on.told
  }

  async look(): Promise<void> {
    const { rows } = await this.db.executeQuery<Entry>(
      CompiledQuery.raw('SELECT * FROM journal WHERE seq > ? ORDER BY seq', [this.seen]),
    )
    if (rows.length === 0) return
    await this.lookAround()
    for (const entry of rows) {
      this.seen = entry.seq
      if (entry.what === 'dyno') this.witness.row(entry.id, entry.row === null ? undefined : this.rowOf(entry.row))
      else if (entry.row !== null) this.rollout(entry.id, JSON.parse(entry.row))
    }
  }

  /** What is wanted. */
  async lookAround(): Promise<void> {
    const rows = await this.db.selectFrom('formation').select(['type', 'quantity', 'size']).execute()
    this.witness.formation = Object.fromEntries(rows.map(({ type, ...row }) => [type, row]))
    const app = await this.db.selectFrom('apps').select('destroyed_at').executeTakeFirst()
    this.witness.destroyed = app === undefined || app.destroyed_at !== null
  }

  private rowOf(text: string): Row {
    const row = JSON.parse(text) as Dyno
    this.told(`${row.type}.${row.ordinal} (${row.id}) ${row.state}${row.replace ? ', to be replaced' : ''}`)
    const { id, release_id: release, type, ordinal, size, state, updated_at: since, retry_at: retryAt, crashes } = row
    const oneOff = oneOffOf(this, row)
    return { id, release, type, ordinal, size, state, since, retryAt, crashes, replace: row.replace === 1, oneOff }
  }

  private rollout(id: string, { version, state, slug, superseded, code }: Entered): void {
    this.told(`v${version} ${state}`)
    const known = this.witness.releases.get(id)
    const types = slug === null ? [] : slug.split(' ').slice(1)
    const sound = known?.sound ?? (slug !== null && this.sound(slug))
    this.witness.release({ id, version, state, types, sound, code, superseded: superseded !== null })
  }
}
