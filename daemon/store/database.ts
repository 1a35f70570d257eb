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
  const listeners = new Set<() => void>()
  const wrote = () => {
    for (const listener of listeners) listener()
  }
  const db = new Kysely<Schema>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () => new Sqlite3Driver(path, wrote),
      createIntrospector: (db) => new SqliteIntrospector(db),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
  })
  await migrate(db)
  listening.set(db, listeners)
  return db
}

const listening = new WeakMap<Db, Set<() => void>>()

/** Calls `listener` whenever something may have been committed, for those who would else have to look again and again. */
export function onWrite(db: Db, listener: () => void): void {
  listening.get(db)?.add(listener)
}

/** Runs `work` in one transaction; the name says that it is one decision, kept or dropped as a whole. */
export const decide = <T>(db: Db, work: (tx: Tx) => Promise<T>): Promise<T> => db.transaction().execute(work)

/**
 * Gives unused pages back to the disk when they are many, and half of the database; tells whether it did. Writers wait meanwhile. SQLite
 * writes what is left to another file first, which is less than what becomes free.
 */
export async function compact(db: Db, slack: number): Promise<boolean> {
  const pragma = async (name: string): Promise<number> => {
    const { rows } = await db.executeQuery<Record<string, number>>(CompiledQuery.raw(`PRAGMA ${name}`))
    return rows[0]?.[name] ?? 0
  }
  const unused = await pragma('freelist_count')
  if (unused * (await pragma('page_size')) < slack || unused * 2 < (await pragma('page_count'))) return false
  await db.executeQuery(CompiledQuery.raw('VACUUM'))
  return true
}

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
