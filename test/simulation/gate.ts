import { setImmediate } from 'node:timers/promises'
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Driver,
  Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import type { Db } from '../../daemon/store/database.ts'
import { Sqlite3Driver } from '../../daemon/store/driver.ts'

const never = new Promise<never>(() => {})

/**
 * The real database under a daemon that may be killed at any query: from then on nobody gets an answer, and what was not committed is undone.
 * One query or transaction after the other, in the order in which they were asked, so that a history goes the same way each time.
 */
export class Gate implements Driver {
  /** Queries until it is killed. */
  left = Number.POSITIVE_INFINITY
  closed = false
  /** Those that have a connection or wait for one. */
  waiting = 0
  /** Of all time. */
  queries = 0
  private readonly inner: Sqlite3Driver
  private readonly killed: () => void
  private turn: Promise<void> = Promise.resolve()

  constructor(path: string, killed: () => void) {
    this.inner = new Sqlite3Driver(path)
    this.killed = killed
  }

  open(): Db {
    return new Kysely({
      dialect: {
        createAdapter: () => new SqliteAdapter(),
        createDriver: () => this,
        createIntrospector: (db) => new SqliteIntrospector(db),
        createQueryCompiler: () => new SqliteQueryCompiler(),
      },
    })
  }

  async init(): Promise<void> {
    this.waiting++
    await this.inner.init()
    this.waiting--
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    this.waiting++
    const before = this.turn
    let end = () => {}
    this.turn = new Promise((resolve) => {
      end = resolve
    })
    await before
    const leave = () => {
      this.waiting--
      end()
    }
    if (!this.closed) return new Passage(this, await this.inner.acquireConnection(), leave)
    leave()
    return never
  }

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await passage(connection).within(async (inner) => this.inner.beginTransaction(inner))
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await passage(connection).ends(async (inner) => this.inner.commitTransaction(inner))
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await passage(connection).ends(async (inner) => this.inner.rollbackTransaction(inner))
  }

  async releaseConnection(connection: DatabaseConnection): Promise<void> {
    await this.release(passage(connection))
  }

  async release({ inner, leave }: Passage): Promise<void> {
    await this.inner.releaseConnection(inner)
    leave()
  }

  undo(inner: DatabaseConnection): Promise<void> {
    return this.inner.rollbackTransaction(inner)
  }

  /** True when the daemon is killed at this query, or was before. */
  strikes(): boolean {
    this.queries++
    if (!this.closed && this.left-- <= 0) this.close()
    return this.closed
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.killed()
  }

  destroy(): Promise<void> {
    return this.inner.destroy()
  }

  /** Resolves when nothing goes on without another thing happening. */
  async quiet(): Promise<void> {
    for (let idle = 0; idle < 2; ) {
      await setImmediate()
      idle = this.waiting === 0 ? idle + 1 : 0
    }
  }
}

const passage = (connection: DatabaseConnection): Passage => connection as Passage

/** One query or one transaction. */
class Passage implements DatabaseConnection {
  readonly inner: DatabaseConnection
  readonly leave: () => void
  private readonly gate: Gate
  private begun = false

  constructor(gate: Gate, inner: DatabaseConnection, leave: () => void) {
    this.gate = gate
    this.inner = inner
    this.leave = leave
  }

  executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    return this.pass(() => this.inner.executeQuery<R>(query))
  }

  async within(begin: (inner: DatabaseConnection) => Promise<void>): Promise<void> {
    await this.pass(() => begin(this.inner))
    this.begun = true
  }

  async ends(end: (inner: DatabaseConnection) => Promise<void>): Promise<void> {
    await this.pass(() => {
      this.begun = false
      return end(this.inner)
    })
  }

  // biome-ignore lint/correctness/useYield: there is no streaming
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('sqlite3 does not stream')
  }

  private async pass<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    if (this.gate.strikes()) return this.end()
    const answer = await ask()
    return this.gate.closed ? this.end() : answer
  }

  private async end(): Promise<never> {
    if (this.begun) await this.gate.undo(this.inner)
    await this.gate.release(this)
    return never
  }
}
