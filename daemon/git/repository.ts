import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { access, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { failpoint } from '../failpoint.ts'
import { limits } from '../limits.ts'

const run = promisify(execFile)

/** The bare repository of an app; it is keyed by the app's id, so a rename does not touch it. */
export const repositoryPath = (data: string, app: string): string => join(data, 'repos', `${app}.git`)

/** Makes the repository at first use; whole or not at all, and once when asked for twice at the same time. Gives its path. */
export async function ensureRepository(data: string, app: string): Promise<string> {
  const path = repositoryPath(data, app)
  if (await exists(path)) {
    await setAttributes(path)
    return path
  }
  await mkdir(join(data, 'repos'), { recursive: true, mode: 0o700 })
  const fresh = `${path}.${randomUUID()}`
  try {
    await run('git', ['init', '--quiet', '--bare', '--initial-branch=main', '--template=', fresh], {
      env: gitEnvironment(),
    })
    await setAttributes(fresh)
    await failpoint('repository.made')
    await rename(fresh, path)
  } catch (error) {
    await rm(fresh, { recursive: true, force: true })
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error
  }
  return path
}

/**
 * At start, when nobody pushes: removes what is no repository of these apps, as one that was not made to its end, and in the others
 * what a push that was cut off has left: objects in quarantine, and locks, because of which git would refuse the next.
 */
export async function sweepRepositories(data: string, apps: string[]): Promise<void> {
  const known = new Set(apps.map((app) => repositoryPath(data, app)))
  for (const name of await namesIn(join(data, 'repos'))) {
    const path = join(data, 'repos', name)
    if (!known.has(path)) await rm(path, { recursive: true, force: true })
    else for (const left of await cutOff(path)) await rm(join(path, left), { recursive: true, force: true })
  }
}

async function cutOff(repository: string): Promise<string[]> {
  const refs = await readdir(join(repository, 'refs'), { recursive: true }).catch(() => [])
  const names = [...(await namesIn(repository)), ...refs.map((name) => join('refs', name))]
  const objects = (await namesIn(join(repository, 'objects'))).map((name) => join('objects', name))
  return [...names.filter((name) => name.endsWith('.lock')), ...objects.filter((name) => QUARANTINE.test(name))]
}

/** As git names it before 2.35, and since. */
const QUARANTINE = /^objects\/(incoming|tmp_objdir)-/

const namesIn = (folder: string): Promise<string[]> => readdir(folder).catch(() => [])

/** They come before whatever a commit's own files say: a build gets each file as it was committed, none left out, no line end changed. */
const ATTRIBUTES = '* !export-ignore !export-subst -text !eol !ident !filter !working-tree-encoding\n'

async function setAttributes(repository: string): Promise<void> {
  const path = join(repository, 'info', 'attributes')
  if (await exists(path)) return
  const fresh = `${path}.${randomUUID()}`
  await mkdir(join(repository, 'info'), { recursive: true, mode: 0o700 })
  await writeFile(fresh, ATTRIBUTES)
  await rename(fresh, path)
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

/** A clone checks out the branch that was deployed last, `main` or `master`. */
export async function pointHead(data: string, app: string, ref: string): Promise<void> {
  const args = ['--git-dir', repositoryPath(data, app), 'symbolic-ref', 'HEAD', ref]
  if (/^refs\/heads\/(main|master)$/.test(ref)) await run('git', args, { env: gitEnvironment() })
}

/** The commit that a branch is at; all zeros, as git writes it, when it is not there. */
export const commitOf = (data: string, app: string, ref: string): Promise<string> =>
  run('git', ['--git-dir', repositoryPath(data, app), 'rev-parse', '--verify', '--quiet', ref], {
    env: gitEnvironment(),
  }).then(
    ({ stdout }) => stdout.trim(),
    () => '0'.repeat(40),
  )

/** All that git needs to know of the world, and nothing of the daemon's own. */
export const gitEnvironment = (): Record<string, string> => ({
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/nonexistent',
  LANG: 'C.UTF-8',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
})

/** Settings of every receive-pack; old but harmless flaws of long histories are let through. */
export const receiveSettings = (hooks: string): string[] =>
  [
    `core.hooksPath=${hooks}`,
    `receive.maxInputSize=${limits.sourceSize}`,
    'receive.fsckObjects=true',
    // What git would refuse only after its hook, when the code is live: shallow pushes, and several branches of which one cannot move.
    'receive.shallowUpdate=true',
    'receive.advertiseAtomic=false',
    'receive.fsck.zeroPaddedFilemode=warn',
    'receive.fsck.missingSpaceBeforeDate=warn',
    'receive.fsck.badTimezone=warn',
    'receive.keepAlive=5',
    // Done by repack.ts, when nobody pushes.
    'receive.autogc=false',
  ].flatMap((setting) => ['-c', setting])

/** The hook's script: all it does is in hook.ts. Written at each start, so that it always fits this version. */
export async function installHook(data: string, hookModule: string): Promise<string> {
  const folder = join(data, 'hooks')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const fresh = join(folder, '.pre-receive.new')
  const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`
  await writeFile(fresh, `#!/bin/sh\nexec ${quote(process.execPath)} ${quote(hookModule)}\n`, { mode: 0o700 })
  await rename(fresh, join(folder, 'pre-receive'))
  return folder
}
