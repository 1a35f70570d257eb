import { CompiledQuery, type DatabaseConnection, type Driver, type QueryResult } from 'kysely'
import sqlite3 from 'sqlite3'
import { limits } from '../limits.ts'

const PRAGMAS = [
  'journal_mode = WAL',
  'synchronous = FULL',
  'foreign_keys = ON',
  `busy_timeout = ${limits.busy}`,
  `journal_size_limit = ${limits.walSize}`,
]

/**
 * Kysely's driver over the `sqlite3` package. One connection writes, handed to one transaction at a time. Reads outside of transactions
 * go over a second one, so that they wait for no commit's fsync; a read sees whatever was committed before it was asked for, because
 * each is a transaction of its own on the newest state of the WAL.
 */
export class Sqlite3Driver implements Driver {
  readonly #path: string
  #writer: Connection | undefined
  #reader: Connection | undefined
  #last: Promise<void> = Promise.resolve()

  readonly #wrote: () => void

  /** `wrote` is called after each transaction and each single statement that may have written. */
  constructor(path: string, wrote: () => void = () => {}) {
    this.#path = path
    this.#wrote = wrote
  }

  async init(): Promise<void> {
    this.#writer = await Connection.open(this.#path, sqlite3.OPEN_READWRITE | sqlite3.OPEN_CREATE)
    for (const pragma of PRAGMAS) await this.#writer.execute(CompiledQuery.raw(`PRAGMA ${pragma}`))
    this.#reader = await Connection.open(this.#path, sqlite3.OPEN_READONLY)
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    if (!this.#reader) throw new Error('the database is closed')
    return new Session(this.#reader, () => this.#lockWriter())
  }

  async #lockWriter(): Promise<{ writer: Connection; release: () => void }> {
    const before = this.#last
    let release = () => {}
    this.#last = new Promise((resolve) => {
      release = resolve
    })
    await before
    if (this.#writer) return { writer: this.#writer, release }
    release()
    throw new Error('the database is closed')
  }

  async releaseConnection(connection: DatabaseConnection): Promise<void> {
    if (connection instanceof Session && connection.release()) this.#wrote()
  }

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('BEGIN IMMEDIATE'))
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('COMMIT'))
  }

  /**
   * After some errors, such as a full disk, SQLite has rolled back by itself (https://www.sqlite.org/lang_transaction.html). That there is
   * nothing left to roll back must not take the place of the error.
   */
  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('ROLLBACK')).catch((error: Error) => {
      if (!error.message.includes('no transaction is active')) throw error
    })
  }

  async destroy(): Promise<void> {
    const [writer, reader] = [this.#writer, this.#reader]
    this.#writer = undefined
    this.#reader = undefined
    await reader?.close()
    await this.#last
    await writer?.close()
  }
}

/** What Kysely takes for a connection: one query or one transaction. It has the writer from its first statement that is no read to its end. */
class Session implements DatabaseConnection {
  readonly #reader: Connection
  readonly #lock: () => Promise<{ writer: Connection; release: () => void }>
  #held: { writer: Connection; release: () => void } | undefined

  constructor(reader: Connection, lock: () => Promise<{ writer: Connection; release: () => void }>) {
    this.#reader = reader
    this.#lock = lock
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    if (!this.#held && query.query.kind === 'SelectQueryNode') return this.#reader.execute(query)
    this.#held ??= await this.#lock()
    return this.#held.writer.execute(query)
  }

  /** True when it had the writer. */
  release(): boolean {
    const held = this.#held
    this.#held = undefined
    held?.release()
    return held !== undefined
  }

  // biome-ignore lint/correctness/useYield: SQLite answers are small; there is no streaming
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('sqlite3 does not stream')
  }
}

/** A connection with its prepared statements, of which those used last are kept. */
class Connection {
  readonly #db: sqlite3.Database
  readonly #statements = new Map<string, Promise<sqlite3.Statement>>()

  private constructor(db: sqlite3.Database) {
    this.#db = db
  }

  static open(path: string, mode: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const db = new sqlite3.Database(path, mode, (error) => (error ? reject(error) : resolve(new Connection(db))))
    })
  }

  async execute<R>({ sql, parameters, query }: CompiledQuery): Promise<QueryResult<R>> {
    const reads = query.kind === 'SelectQueryNode' || /^\s*(pragma|select|with|explain)\b|\breturning\b/i.test(sql)
    const statement = await this.#prepare(sql)
    return new Promise((resolve, reject) => {
      if (reads)
        statement.all<R>(parameters, (error, rows) => {
          error ? reject(error) : resolve({ rows })
        })
      else
        statement.run(parameters, function (error) {
          error
            ? reject(error)
            : resolve({ rows: [], numAffectedRows: BigInt(this.changes), insertId: BigInt(this.lastID) })
        })
    })
  }

  #prepare(sql: string): Promise<sqlite3.Statement> {
    const known = this.#statements.get(sql)
    this.#statements.delete(sql)
    const prepared = known ?? this.#prepareNow(sql)
    this.#statements.set(sql, prepared)
    const [oldest] = this.#statements.keys()
    if (oldest !== undefined && this.#statements.size > limits.preparedStatements) {
      // A statement ends what it was asked before it is finalized.
      this.#statements.get(oldest)?.then((statement) => statement.finalize())
      this.#statements.delete(oldest)
    }
    return prepared
  }

  #prepareNow(sql: string): Promise<sqlite3.Statement> {
    const prepared = new Promise<sqlite3.Statement>((resolve, reject) => {
      const statement = this.#db.prepare(sql, (error: Error | null) => (error ? reject(error) : resolve(statement)))
    })
    prepared.catch(() => this.#statements.delete(sql))
    return prepared
  }

  async close(): Promise<void> {
    for (const prepared of this.#statements.values()) (await prepared).finalize()
    return new Promise((resolve, reject) => this.#db.close((error) => (error ? reject(error) : resolve())))
  }
}
