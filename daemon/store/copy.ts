import { promisify } from 'node:util'
import sqlite3 from 'sqlite3'
import { limits } from '../limits.ts'

/** Reads a database that somebody else may be writing to; nothing of it is created or changed by being asked. */
export async function ask<Row>(path: string, sql: string, ...parameters: string[]): Promise<Row[]> {
  const db = await new Promise<sqlite3.Database>((resolve, reject) => {
    const opened = new sqlite3.Database(path, sqlite3.OPEN_READONLY, (error) =>
      error ? reject(error) : resolve(opened),
    )
  })
  db.configure('busyTimeout', limits.busy)
  try {
    return await promisify<string, string[], Row[]>(db.all.bind(db))(sql, parameters)
  } finally {
    await promisify(db.close.bind(db))()
  }
}

/**
 * Writes the database at `path`, as it is at one moment, to a file that is not there yet. A transaction that reads: who writes meanwhile waits
 * for nothing (https://www.sqlite.org/lang_vacuum.html#vacuuminto). A failure leaves a part of the file.
 */
export const copyDatabase = (path: string, to: string): Promise<unknown> => ask(path, 'VACUUM INTO ?', to)
