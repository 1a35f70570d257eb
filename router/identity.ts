import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Identity } from './protocol.ts'

/**
 * Who this router is to the daemon: the id is made once and stays in its folder, so that it is the same router after a restart. Where it
 * cannot be kept, it is another one at each start: no router fails to serve for that.
 */
export async function identify(folder: string, workers: number, warn: (sentence: string) => void): Promise<Identity> {
  const path = join(folder, 'id')
  const known = (await readFile(path, 'utf8').catch(() => '')).trim()
  const id = UUID.test(known) ? known : randomUUID()
  if (id !== known)
    await keep(folder, path, id).catch((error) => warn(`The router's id cannot be kept: ${(error as Error).message}`))
  return { id, host: hostname(), pid: process.pid, workers }
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

async function keep(folder: string, path: string, id: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  await writeFile(`${path}.new`, id, { mode: 0o600, flush: true })
  await rename(`${path}.new`, path)
}
