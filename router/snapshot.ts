import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { parseDown, type Table } from './protocol.ts'

/** Keeps the table where a power cut cannot eat it: the file is the old table or the new one, whole. */
export async function writeSnapshot(path: string, table: Table): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const file = await open(`${path}.new`, 'w', 0o600)
  try {
    await file.writeFile(JSON.stringify({ kind: 'table', table }))
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.new`, path)
}

/** The last table, or undefined when there is none. Throws when the file is not what `writeSnapshot` wrote. */
export async function readSnapshot(path: string): Promise<Table | undefined> {
  try {
    return parseDown(await readFile(path, 'utf8')).table
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
