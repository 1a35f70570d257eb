import { createHash } from 'node:crypto'
import { copyFile, cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bundled } from '../../buildpacks/bundled.ts'
import { listInstallations } from '../app/buildpack.ts'
import { type Config, packageRoot } from '../config.ts'
import type { Daemon } from '../daemon.ts'
import { UserError } from '../errors.ts'
import { fetchBuildpack, publicUrl } from './fetch.ts'
import { settingsFor } from './setting.ts'

/** A buildpack as one build uses it. */
export interface Buildpack {
  /** What the app names: a URL, or the name of a bundled one. */
  url: string
  /** For the output: without password. */
  name: string
  /** Changes when its content does. */
  revision: string
  /** Puts it where the compile script looks for buildpack `n`. */
  place(packs: string, n: number): Promise<void>
}

export interface Selection {
  /** chosen: each of them must fit. detect: the first that fits is used. */
  mode: 'chosen' | 'detect'
  buildpacks: Buildpack[]
}

/**
 * The buildpacks that the build names, else those that its app names, or all bundled ones in the order in which they are tried.
 * Fetches what is not here.
 */
export async function selectBuildpacks(
  d: Daemon,
  app: string,
  signal: AbortSignal,
  named: readonly string[] = [],
): Promise<Selection> {
  const chosen = named.length > 0 ? named : (await listInstallations(d.db, app)).map(({ url }) => url)
  const urls = chosen.length > 0 ? chosen : bundled.map(({ name }) => name)
  const buildpacks: Buildpack[] = []
  for (const url of urls) buildpacks.push(await resolveBuildpack(d, url, signal))
  return { mode: chosen.length > 0 ? 'chosen' : 'detect', buildpacks }
}

async function resolveBuildpack(d: Daemon, url: string, signal: AbortSignal): Promise<Buildpack> {
  if (/^[\w-]+\/[\w-]+$/.test(url)) return bundledBuildpack(d.config, url)
  const { archive, revision } = await fetchBuildpack(d.config, url, signal)
  return { url, name: publicUrl(url), revision, place: (packs, n) => copyFile(archive, join(packs, `${n}.tar`)) }
}

async function bundledBuildpack(config: Config, name: string): Promise<Buildpack> {
  const found = bundled.find((one) => one.name === name)
  if (!found)
    throw new UserError('invalid_params', `There is no buildpack ${name}. See \`heroku buildpacks\` and set another.`)
  const folder = join(packageRoot, 'buildpacks', found.folder)
  const settings = await settingsFor(config, found.settings)
  return {
    url: name,
    name,
    revision: await hashFolder(folder, ...settings.flat()),
    async place(packs, n) {
      const pack = join(packs, String(n))
      await cp(folder, pack, { recursive: true })
      await mkdir(join(pack, 'etc'), { recursive: true })
      for (const [setting, value] of settings) await writeFile(join(pack, 'etc', setting), `${value}\n`)
    },
  }
}

/** Names, executable bits and contents of a folder of ours. */
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
