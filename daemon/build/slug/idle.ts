import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Daemon } from '../../daemon.ts'
import { limits } from '../../limits.ts'
import { dropTree, exists } from '../../run/tree.ts'
import { slugFolder, slugTree } from '../../store/slug-path.ts'
import { keptSlugs, usesOf } from './kept.ts'

/** An unpacked slug; its archive is beside it, so it can be made again. */
export interface Tree {
  files: string
  /** When a dyno was started from it last, or a build found it; ms. */
  used: number
}

/** Used longest ago first. */
export async function unpackedTrees({ config }: Pick<Daemon, 'config'>): Promise<Tree[]> {
  const trees: Tree[] = []
  for (const files of await readdir(join(config.data, 'slugs')).catch(() => [])) {
    if (!(await exists(slugTree(config, files)))) continue
    const found = await stat(slugFolder(config, files)).catch(() => undefined)
    if (found) trees.push({ files, used: found.mtimeMs })
  }
  return trees.toSorted((a, b) => a.used - b.used)
}

/** Removes the tree unless some dyno runs it or is to run it; false when it stays. */
export const dropIdleTree = (d: Daemon, { files }: Tree): Promise<boolean> =>
  dropTree(d.config, files, () => isNeeded(d, files))

/** What may only be rolled back to is not needed unpacked. */
async function isNeeded(d: Daemon, files: string): Promise<boolean> {
  const slugs = await d.db.selectFrom('slugs').select(['id', 'app_id', 'archive']).where('files', '=', files).execute()
  // One without a row may be of a build that is about to write it, or is being received.
  if (slugs.length === 0 || slugs.some(({ archive }) => archive === 'awaited')) return true
  for (const app of new Set(slugs.map(({ app_id }) => app_id))) {
    const needed = keptSlugs(await usesOf(d.db, app), 0)
    if (slugs.some(({ id }) => needed.has(id))) return true
  }
  return false
}

/** Every hour: trees that nobody has needed for a day. */
export async function sweepTrees(d: Daemon): Promise<void> {
  for (const tree of await unpackedTrees(d))
    if (d.clock.now() - tree.used > limits.idleTree) await dropIdleTree(d, tree)
}
