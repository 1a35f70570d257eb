import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../build/command.ts'
import { formatSize } from '../build/output.ts'
import type { Daemon } from '../daemon.ts'
import { limits } from '../limits.ts'
import { nameOf } from '../run/dyno.ts'

/**
 * What dynos have written, below /app and beside it: theirs alone, and gone with them. Nothing bounds it but the disk, so it is told.
 *
 *   unremarkable -- more than limits.dynoFiles --> told -- twice as much as when it was told --> told again
 *        ^                                          |
 *        +---- less than limits.dynoFiles, or gone -+
 */
export type DynoFiles = ReadonlyMap<string, number>

/** Bytes, by id of the dyno; one walk over all of it, at low priority. Of an engine that does not answer nothing is known. */
export async function dynoFiles(d: Pick<Daemon, 'config' | 'engine'>): Promise<DynoFiles> {
  const files = new Map<string, number>()
  const cwd = join(d.config.data, 'dynos')
  const ids = await readdir(cwd).catch(() => [])
  for (let from = 0; from < ids.length; from += AT_ONCE) {
    const part = ids.slice(from, from + AT_ONCE)
    const lines = await run('nice', ['-n', '19', 'du', '-skx', '--', ...part], { anyExit: true, cwd })
    for (const [, kib, id] of lines.matchAll(/^(\d+)\t(.+)$/gm)) files.set(id ?? '', Number(kib) * 1024)
  }
  const beside = await d.engine.written().catch(() => new Map<string, number>())
  for (const [id, bytes] of beside) files.set(id, (files.get(id) ?? 0) + bytes)
  return files
}

const AT_ONCE = 500

/** Pure. Those who are to be told now; `told` is what each had when it was told last, and is brought up to date. */
export function remarkable(files: DynoFiles, told: Map<string, number>): [string, number][] {
  for (const id of told.keys()) if ((files.get(id) ?? 0) < limits.dynoFiles) told.delete(id)
  const now = [...files].filter(([id, bytes]) => bytes >= Math.max(limits.dynoFiles, 2 * (told.get(id) ?? 0)))
  for (const [id, bytes] of now) told.set(id, bytes)
  return now
}

/** Tells the log of each app whose dynos have come to hold much, and the daemon's. */
export async function watchDynoFiles(d: Daemon, told: Map<string, number>): Promise<void> {
  for (const [id, bytes] of remarkable(await dynoFiles(d), told)) {
    const found = d.db.selectFrom('dynos').select(['app_id', 'type', 'ordinal']).where('id', '=', id)
    const dyno = await found.executeTakeFirst()
    if (!dyno) continue
    const name = nameOf(dyno)
    const text = `Files of this dyno take ${formatSize(bytes)} of disk. They go when it ends: heroku ps:restart ${name}`
    d.logs.write(dyno.app_id, { at: d.clock.now(), source: 'heroku', dyno: name, text })
    d.log.warn('a dyno has written much', { app: dyno.app_id, dyno: name, bytes })
  }
}
