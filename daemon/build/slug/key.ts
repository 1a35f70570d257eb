import type { Daemon } from '../../daemon.ts'
import type { Selection } from '../buildpack/buildpack.ts'
import { hashFolder } from '../buildpack/folder.ts'
import { scripts } from './compile.ts'

export interface Ingredients {
  source: string
  /** The image that it is built on. */
  stack: string
  selection: Pick<Selection, 'mode' | 'buildpacks'>
  config: Record<string, string>
}

/**
 * Equal when nothing that a build is made from differs: a slug with the same key need not be built again. Config vars are among that, so
 * it takes the platform's key to make one: who reads the database cannot try values until the key fits.
 */
export async function keyOf(
  { seal }: Pick<Daemon, 'seal'>,
  { source, stack, selection, config }: Ingredients,
): Promise<string> {
  const buildpacks = selection.buildpacks.map(({ url, revision }) => [url, revision])
  const vars = Object.entries(config).sort(([a], [b]) => (a < b ? -1 : 1))
  return seal.fingerprint(JSON.stringify([await hashFolder(scripts), source, stack, selection.mode, buildpacks, vars]))
}
