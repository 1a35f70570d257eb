import { randomUUID } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Identity } from './protocol.ts'

/** Who this router is to the daemon: the id is made once and stays in its folder, so that it is the same router after a restart. */
export async function identify(folder: string, workers: number): Promise<Identity> {
  await mkdir(folder, { recursive: true })
  const path = join(folder, 'id')
  const fresh = randomUUID()
  const id = await writeFile(path, fresh, { flag: 'wx', mode: 0o600 }).then(
    () => fresh,
    () => readFile(path, 'utf8'),
  )
  return { id: id.trim(), host: hostname(), pid: process.pid, workers }
}
