import { randomUUID } from 'node:crypto'
import { link, readFile, unlink, writeFile } from 'node:fs/promises'

/**
 * The content of a file that is made at first use, readable by its owner only. Whole or not at all, also over a power cut, and the same
 * for all that ask at once.
 */
export async function onceWritten(path: string, make: () => string | Buffer): Promise<Buffer> {
  const kept = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
  if (kept) return kept
  const fresh = `${path}.${randomUUID()}`
  await writeFile(fresh, make(), { mode: 0o600, flush: true })
  try {
    await link(fresh, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await unlink(fresh)
  }
  return readFile(path)
}
