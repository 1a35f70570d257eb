import {
  CompiledQuery,
  type DatabaseConnection,
  type Driver,
  Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type Transaction,
} from 'kysely'
import sqlite3 from 'sqlite3'
import { migrations } from './migrations.ts'
import type { Schema } from './schema.ts'

export type Db = Kysely<Schema>
/** A connection inside a transaction, or the database itself: what a function takes that may be part of a larger decision. */
export type Tx = Transaction<Schema>
export type DbOrTx = Db | Tx

/**
 * Opens (and brings up to date) the database at `path`. One connection: SQLite has one writer anyway, and every transaction is
 * `BEGIN IMMEDIATE`, so what a transaction reads is still true when it writes.
 */
export async function openDatabase(path: string): Promise<Db> {
  const db = new Kysely<Schema>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () => new Sqlite3Driver(path),
      createIntrospector: (db) => new SqliteIntrospector(db),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
  })
  await migrate(db)
  return db
}

/** Runs `work` in one transaction; the name says that it is one decision, kept or dropped as a whole. */
export const decide = <T>(db: Db, work: (tx: Tx) => Promise<T>): Promise<T> => db.transaction().execute(work)

async function migrate(db: Db): Promise<void> {
  await decide(db, async (tx) => {
    const { rows } = await tx.executeQuery<{ user_version: number }>(CompiledQuery.raw('PRAGMA user_version'))
    const done = rows[0]?.user_version ?? 0
    if (done > migrations.length)
      throw new Error(
        `The database is from a newer Sluice (schema ${done}, this one knows ${migrations.length}). Install that version again.`,
      )
    for (const migration of migrations.slice(done))
      for (const statement of migration.split(';'))
        if (statement.trim()) await tx.executeQuery(CompiledQuery.raw(statement))
    await tx.executeQuery(CompiledQuery.raw(`PRAGMA user_version = ${migrations.length}`))
  })
}

/** Kysely's driver over the `sqlite3` package (callbacks, so wrapped): one connection handed out to one caller at a time. */
class Sqlite3Driver implements Driver {
  readonly #path: string
  #connection: Sqlite3Connection | undefined
  #last: Promise<void> = Promise.resolve()
  #release: () => void = () => {}

  constructor(path: string) {
    this.#path = path
  }

  async init(): Promise<void> {
    this.#connection = await Sqlite3Connection.open(this.#path)
    for (const pragma of ['journal_mode = WAL', 'synchronous = FULL', 'foreign_keys = ON', 'busy_timeout = 5000'])
      await this.#connection.executeQuery(CompiledQuery.raw(`PRAGMA ${pragma}`))
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    const before = this.#last
    let release = () => {}
    this.#last = new Promise((resolve) => {
      release = resolve
    })
    await before
    this.#release = release
    if (!this.#connection) throw new Error('the database is closed')
    return this.#connection
  }

  async releaseConnection(): Promise<void> {
    this.#release()
  }

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('BEGIN IMMEDIATE'))
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('COMMIT'))
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('ROLLBACK'))
  }

  async destroy(): Promise<void> {
    await this.#connection?.close()
    this.#connection = undefined
  }
}

class Sqlite3Connection implements DatabaseConnection {
  readonly #db: sqlite3.Database

  private constructor(db: sqlite3.Database) {
    this.#db = db
  }

  static open(path: string): Promise<Sqlite3Connection> {
    return new Promise((resolve, reject) => {
      const db = new sqlite3.Database(path, (error) => (error ? reject(error) : resolve(new Sqlite3Connection(db))))
    })
  }

  executeQuery<R>({ sql, parameters, query }: CompiledQuery): Promise<QueryResult<R>> {
    const reads = query.kind === 'SelectQueryNode' || /^\s*(pragma|select|with)\b|\breturning\b/i.test(sql)
    return new Promise((resolve, reject) => {
      if (reads)
        this.#db.all<R>(sql, parameters, (error, rows) => {
          error ? reject(error) : resolve({ rows })
        })
      else
        this.#db.run(sql, parameters, function (error) {
          error
            ? reject(error)
            : resolve({ rows: [], numAffectedRows: BigInt(this.changes), insertId: BigInt(this.lastID) })
        })
    })
  }

  // biome-ignore lint/correctness/useYield: SQLite answers are small; there is no streaming
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('sqlite3 does not stream')
  }

  close(): Promise<void> {
    return new Promise((resolve, reject) => this.#db.close((error) => (error ? reject(error) : resolve())))
  }
}
