import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { stepBack } from '../build/command.ts'
import { limits } from '../limits.ts'
import { gitEnvironment, repositoryPath } from './repository.ts'

const run = promisify(execFile)

/** What a repository is but for its objects, at one moment. What it names stays in it for git's two weeks, whatever is pushed. */
export interface Refs {
  /** Branches and tags, in the form of the file `packed-refs`. */
  refs: string
  /** The file `HEAD`. */
  head: string
  /** Where the histories of shallow pushes end: the file `shallow`; undefined when there were none. */
  shallow: string | undefined
}

/** Undefined when there is no repository, or nothing in it: it is made at the first push. */
export async function refsOf(data: string, app: string): Promise<Refs | undefined> {
  const path = repositoryPath(data, app)
  const head = await fileOf(join(path, 'HEAD'))
  if (head === undefined) return undefined
  const { stdout: refs } = await run('git', ['--git-dir', path, 'for-each-ref', '--format=%(objectname) %(refname)'], {
    env: gitEnvironment(),
    maxBuffer: limits.repositoryRefs,
  })
  return refs === '' ? undefined : { refs, head, shallow: await fileOf(join(path, 'shallow')) }
}

/** All objects that these refs reach, as a pack. Throws with git's words when one is missing. */
export async function* packOf(data: string, app: string, { refs }: Pick<Refs, 'refs'>): AsyncGenerator<Buffer> {
  const settings = ['--quiet', '--threads=1', '--window-memory=64m', '--delta-base-offset']
  const args = ['--git-dir', repositoryPath(data, app), 'pack-objects', '--revs', '--stdout', ...settings]
  const git = spawn('git', args, { env: gitEnvironment(), stdio: 'pipe' })
  stepBack(git)
  const success = successOf(git)
  success.catch(() => {})
  git.stdin.on('error', () => {})
  git.stdin.end(refs.replace(/ .*$/gm, ''))
  try {
    yield* git.stdout as AsyncIterable<Buffer>
    await success
  } finally {
    git.kill('SIGKILL')
  }
}

/** Makes a repository of the files `HEAD`, `packed-refs` and, if there was one, `shallow`, which are at `path`, and a pack. */
export async function remakeRepository(path: string, pack: Readable): Promise<void> {
  await run('git', ['init', '--quiet', '--bare', '--template=', path], { env: gitEnvironment() })
  const git = spawn('git', ['--git-dir', path, 'index-pack', '--stdin'], {
    env: gitEnvironment(),
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  const success = successOf(git)
  // Why git does not read on is what it says.
  await pipeline(pack, git.stdin).catch(() => {})
  await success
}

/** Resolves when it has ended well, and rejects with its last words. */
async function successOf(git: ChildProcess): Promise<void> {
  let words = ''
  git.stderr?.on('data', (text: Buffer) => {
    words = (words + text.toString()).slice(-WORDS)
  })
  const [code] = await once(git, 'close')
  if (code !== 0) throw new Error(`git ended with ${code}: ${words.trim()}`)
}

const WORDS = 1000

const fileOf = (path: string): Promise<string | undefined> =>
  readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    return undefined
  })
