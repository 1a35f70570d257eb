import sqlite3 from 'sqlite3'

/**
 * What SQLite finds wrong with the file, a few lines at most; none when it is whole (https://www.sqlite.org/pragma.html#pragma_quick_check).
 * Over a connection of its own, so that nobody waits for it. Rejects when there is no file, and when `signal` aborts.
 */
export function faultsOf(path: string, signal: AbortSignal): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const db = new sqlite3.Database(path, sqlite3.OPEN_READONLY, (error) => {
      if (error) return reject(error)
      const interrupt = () => db.interrupt()
      signal.addEventListener('abort', interrupt, { once: true })
      db.all<{ quick_check: string }>(`PRAGMA quick_check(${MOST})`, (error, rows) => {
        signal.removeEventListener('abort', interrupt)
        db.close()
        if (error && DAMAGED.test(error.message)) resolve([error.message])
        else if (error) reject(signal.aborted ? signal.reason : error)
        else resolve(rows.map(({ quick_check }) => quick_check).filter((line) => line !== 'ok'))
      })
    })
  })
}

const MOST = 3
/** So badly that SQLite does not even look through it. */
const DAMAGED = /^SQLITE_(CORRUPT|NOTADB)/
