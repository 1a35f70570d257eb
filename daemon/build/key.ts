import { createHash } from 'node:crypto'
import { hashFolder, type Selection } from './buildpack.ts'
import { scripts } from './compile.ts'

export interface Ingredients {
  source: string
  /** The image that it is built on. */
  stack: string
  selection: Selection
  config: Record<string, string>
}

/** Equal when nothing that a build is made from differs: a slug with the same key need not be built again. */
export async function keyOf({ source, stack, selection, config }: Ingredients): Promise<string> {
  const buildpacks = selection.buildpacks.map(({ url, revision }) => [url, revision])
  const vars = Object.entries(config).sort(([a], [b]) => (a < b ? -1 : 1))
  const all = JSON.stringify([await hashFolder(scripts), source, stack, selection.mode, buildpacks, vars])
  return createHash('sha256').update(all).digest('hex')
}
