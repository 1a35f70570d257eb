import { CompiledQuery, Kysely, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler, type Transaction } from 'kysely'
import { Sqlite3Driver } from './driver.ts'
import { migrations } from './migrations.ts'
import type { Schema } from './schema.ts'

export type Db = Kysely<Schema>
/** A connection inside a transaction, or the database itself: what a function takes that may be part of a larger decision. */
export type Tx = Transaction<Schema>
export type DbOrTx = Db | Tx

/**
 * Opens (and brings up to date) the database at `path`. There is one writer, and every transaction is `BEGIN IMMEDIATE`, so what a
 * transaction reads is still true when it writes.
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
