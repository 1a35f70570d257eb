import { createHash } from 'node:crypto'
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Bundled } from '../../../buildpacks/bundled.ts'
import { type Config, packageRoot } from '../../config.ts'
import type { Buildpack } from './buildpack.ts'
import { settingsFor } from './setting.ts'

/** A buildpack that is a folder of this host. */
export const folderBuildpack = async (name: string, folder: string): Promise<Buildpack> => ({
  url: name,
  name,
  revision: await hashFolder(folder),
  place: (packs, n) => copy(folder, join(packs, String(n))),
})

/** One of ours, with what all of them use in `shared`, and what the operator has set for it in `etc`. */
export async function bundledBuildpack(config: Config, { name, folder, settings }: Bundled): Promise<Buildpack> {
  const ours = await folderBuildpack(name, join(packageRoot, 'buildpacks', folder))
  const shared = join(packageRoot, 'buildpacks', 'shared')
  const values = await settingsFor(config, settings)
  return {
    ...ours,
    revision: await hashFolder(shared, ours.revision, ...values.flat()),
    async place(packs, n) {
      const pack = join(packs, String(n))
      await ours.place(packs, n)
      await copy(shared, join(pack, 'shared'))
      await mkdir(join(pack, 'etc'), { recursive: true })
      for (const [setting, value] of values) await writeFile(join(pack, 'etc', setting), `${value}\n`)
    },
  }
}

const copy = (from: string, to: string): Promise<void> => cp(from, to, { recursive: true, verbatimSymlinks: true })

/** Names and contents of a folder of ours. */
export async function hashFolder(folder: string, ...more: string[]): Promise<string> {
  const hash = createHash('sha256')
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  for (const path of paths.sort())
    hash
      .update(`${path.slice(folder.length)}\0`)
      .update(await readFile(path))
      .update('\0')
  for (const text of more) hash.update(`${text}\0`)
  return hash.digest('hex')
}
