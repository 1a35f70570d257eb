import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import * as assert from 'uvu/assert'
import type { App } from '../../daemon/app/app.ts'
import { changeConfig } from '../../daemon/release/config.ts'
import type { Release } from '../../daemon/release/release.ts'
import { appsFolder, type Pushed, type Rig, startRig } from './build-rig.ts'

/** Builds of Python apps, all of which have the index in their source. */
export interface PythonRig {
  rig: Rig
  push(app: App, files: Record<string, string>): Promise<Pushed>
  /** The same for a push that must succeed, or be refused. */
  released(app: App, files: Record<string, string>): Promise<{ release: Release; output: string }>
  refused(app: App, files: Record<string, string>): Promise<string>
  configure(app: App, vars: Record<string, string | null>): Promise<unknown>
  read(release: Release, path: string): Promise<string>
  /** What is in site-packages, without what is in its folders. */
  packages(release: Release): Promise<string[]>
}

export const sitePackages = '.heroku/python/lib/python3.13/site-packages/'

export async function startPythonRig(): Promise<PythonRig> {
  const rig = await startRig()
  rig.d.config.pipIndex = indexUrl
  const index = { ...(await indexFiles()), ...(await distributionWheels(rig)) }
  const push = (app: App, files: Record<string, string>) => rig.push(app, { ...index, ...files })
  return {
    rig,
    push,
    async released(app, files) {
      const { release, output } = await push(app, files)
      if (!release) throw new Error(output)
      return { release, output }
    },
    async refused(app, files) {
      const { release, output } = await push(app, files)
      assert.is(release, undefined, output)
      assert.ok(/^ ! {5}Push rejected, failed to compile Python app\.$/m.test(output), output)
      return output
    },
    configure: (app, vars) => changeConfig(rig.d, app, { id: app.owner_id, email: 'a@example.com' }, vars),
    read: (release, path) => readFile(join(rig.tree(release), path), 'utf8'),
    packages: async (release) =>
      (await rig.files(release))
        .filter((path) => path.startsWith(sitePackages))
        .map((path) => path.slice(sitePackages.length))
        .filter((path) => !path.includes('/')),
  }
}

/** Where the index of `test/apps/python-index` is, inside the container of a build whose source has its files. */
export const indexUrl = 'http://reader:s3cret@127.0.0.1:8111/simple'

export const indexFiles = (): Promise<Record<string, string>> => filesOf('python-index')

/** The files of a folder below test/apps. */
export async function filesOf(app: string): Promise<Record<string, string>> {
  const folder = join(appsFolder, app)
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const texts = await Promise.all(paths.map((path) => readFile(path, 'utf8')))
  return Object.fromEntries(paths.map((path, n) => [relative(folder, path), texts[n] ?? '']))
}

/** The distribution's wheels of pip and setuptools, for the index, by a build with the apt buildpack. */
async function distributionWheels(rig: Rig): Promise<Record<string, string>> {
  const { release, output } = await rig.push(await rig.app(['heroku-community/apt']), {
    Aptfile: 'python3-pip-whl python3-setuptools-whl\n',
    Procfile: 'web: true\n',
  })
  if (!release) throw new Error(output)
  const folder = join(rig.tree(release), '.apt/usr/share/python-wheels')
  const names = (await readdir(folder)).filter((name) => name.endsWith('.whl'))
  const contents = await Promise.all(names.map((name) => readFile(join(folder, name), 'base64')))
  return { 'wheels.json': JSON.stringify(Object.fromEntries(names.map((name, n) => [name, contents[n]]))) }
}
