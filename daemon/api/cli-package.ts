import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { createGzip } from 'node:zlib'
import { pack } from 'tar-stream'
import { packageRoot } from '../config.ts'
import { version } from '../version.ts'

/** What the command needs beside Node, and carries in its package: no registry is asked when it is installed. */
const BUNDLED = ['commander', '@commander-js/extra-typings', 'yaml']
const MAIN = 'dist/cli/main.js'

/** A tar.gz as npm installs it, and its SHA-256. Made when it is first asked for, and kept. */
export type CliPackage = () => Promise<{ bytes: Buffer; digest: string }>

export function createCliPackage(): CliPackage {
  let made: ReturnType<CliPackage> | undefined
  return () => {
    made ??= make().catch((error: unknown) => {
      made = undefined
      throw error
    })
    return made
  }
}

const versionOf = (name: string): string =>
  JSON.parse(readFileSync(join(packageRoot, 'node_modules', name, 'package.json'), 'utf8')).version

/** The same files make the same bytes. */
async function make(): Promise<{ bytes: Buffer; digest: string }> {
  const manifest = {
    ...{ name: 'sluice', version, license: 'MIT', type: 'module', bin: { sluice: MAIN }, engines: { node: '>=20.12' } },
    dependencies: Object.fromEntries(BUNDLED.map((name) => [name, versionOf(name)])),
    bundleDependencies: BUNDLED,
  }
  const tar = pack()
  const bytes = buffer(tar.pipe(createGzip({ level: 9 })))
  const put = (name: string, content: string | Buffer) =>
    tar.entry({ name: `package/${name}`, mode: name === MAIN ? 0o755 : 0o644, mtime: new Date(0) }, content)
  put('package.json', `${JSON.stringify(manifest, null, 2)}\n`)
  for (const name of await filesOf()) put(name, await readFile(join(packageRoot, name)))
  tar.finalize()
  const done = await bytes
  return { bytes: done, digest: createHash('sha256').update(done).digest('hex') }
}

/** The command's own, and of the packages what Node loads, with the licences. */
async function filesOf(): Promise<string[]> {
  const own = await below(join('dist', 'cli'), /\.js$/)
  const others = await Promise.all(
    BUNDLED.map((name) => below(join('node_modules', name), /(?:\.[cm]?js|^package\.json|^LICEN[CS]E.*)$/i)),
  )
  return [...own, ...others.flat().filter((path) => !path.startsWith('node_modules/yaml/browser/'))]
}

async function below(folder: string, wanted: RegExp): Promise<string[]> {
  const entries = await readdir(join(packageRoot, folder), { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile() && wanted.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name).slice(packageRoot.length + 1))
    .toSorted()
}
