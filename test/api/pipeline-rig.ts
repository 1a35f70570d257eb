import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { promisify } from 'node:util'
import type { App } from '../../daemon/app/app.ts'
import type { Engine, Process } from '../../daemon/engine/engine.ts'
import { ensureRepository, repositoryPath } from '../../daemon/git/repository.ts'
import { slugArchive } from '../../daemon/store/slug-path.ts'
import { type Compiler, createCompiler } from './compiler.ts'
import type { Host } from './host.ts'

const run = promisify(execFile)

/** An app whose release has code, with an archive on disk that holds `content`. */
export async function stageApp(
  host: Host,
  name: string,
  content: string,
  types: Record<string, string> = { web: 'serve' },
): Promise<App> {
  const there = await host.request('GET', `/apps/${name}`)
  if (there.status !== 200) await host.request('POST', '/apps', { body: { name } })
  const app = await host.d.db.selectFrom('apps').selectAll().where('name', '=', name).executeTakeFirstOrThrow()
  const before = new Set((await slugsOf(host, app)).map(({ id }) => id))
  await host.deploy(app, types)
  const slug = (await slugsOf(host, app)).find(({ id }) => !before.has(id))
  if (!slug) throw new Error('no slug was made')
  const checksum = await pack(slugArchive(host.d.config, slug.id), { content })
  await host.d.db.updateTable('slugs').set({ checksum }).where('id', '=', slug.id).execute()
  return app
}

export const slugsOf = (host: Host, app: { id: string }) =>
  host.d.db.selectFrom('slugs').selectAll().where('app_id', '=', app.id).execute()

/** Writes a slug's archive; its checksum. */
async function pack(path: string, files: Record<string, string>): Promise<string> {
  await mkdir(dirname(path), { recursive: true })
  await inFolder(files, (folder) =>
    run('tar', ['-C', folder, '--zstd', '--transform', 's,^\\.,./app,', '-cf', path, '.']),
  )
  return `SHA256:${createHash('sha256')
    .update(await readFile(path))
    .digest('hex')}`
}

/** A plain tar of these files. */
export async function tarOf(files: Record<string, string>): Promise<Buffer> {
  return inFolder(files, async (folder) => {
    const path = `${folder}.tar`
    await run('tar', ['-C', folder, '-cf', path, '.'])
    const tar = await readFile(path)
    await rm(path)
    return tar
  })
}

async function inFolder<T>(files: Record<string, string>, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-files-'))
  try {
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
    return await work(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** Puts a branch with these files into the repository of an app, as a push of a branch that is not deployed does; its commit. */
export async function pushBranch(host: Host, app: App, branch: string, files: Record<string, string>): Promise<string> {
  await ensureRepository(host.d.config.data, app.id)
  return inFolder(files, async (folder) => {
    const git = (...args: string[]) =>
      run('git', ['-C', folder, '-c', 'user.name=x', '-c', 'user.email=x@example.com', ...args])
    await git('init', '--quiet', '--initial-branch', branch, '.')
    await git('add', '--all')
    await git('commit', '--quiet', '--message', 'a commit')
    await git('push', '--quiet', '--force', repositoryPath(host.d.config.data, app.id), branch)
    return (await git('rev-parse', 'HEAD')).stdout.trim()
  })
}

/** What runs in containers, done at once: builds that take the source as it is, and scripts that print and end as they are told. */
export interface Scripts {
  compiler: Compiler
  /** Sources do not compile. */
  broken: boolean
  /** What the next script prints, and its exit code. */
  script: { prints: string; exitCode: number }
}

export function runInstantly(host: Host): Scripts {
  const compiler = createCompiler()
  const scripts: Scripts = { compiler, broken: false, script: { prints: '', exitCode: 0 } }
  const engine: Pick<Engine, 'build' | 'attach' | 'images'> = {
    images: compiler.engine.images,
    async build(spec, signal) {
      if (!scripts.broken) return compiler.engine.build(spec, signal)
      const out = spec.mounts.find(({ path }) => path === '/sluice/out')?.host ?? ''
      await writeFile(join(out, 'failure'), 'compile\nprocfile\n')
      return { output: Readable.from([]), exit: Promise.resolve({ exitCode: 1, outOfMemory: false }) }
    },
    async attach() {
      const { prints, exitCode } = scripts.script
      return {
        input: new Writable({ write: (_chunk, _encoding, done) => done() }),
        output: Readable.from(prints === '' ? [] : [{ stream: 'stdout', data: Buffer.from(prints) }]),
        resize: async () => {},
        exit: Promise.resolve(exitCode),
        hangup: async () => {},
      } satisfies Process
    },
  }
  host.d.engine = engine as Engine
  return scripts
}
