import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { access, mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import type { Config } from '../config.ts'
import { messageOf, UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { run } from './command.ts'
import { boundDisk } from './disk.ts'
import { receiveSource } from './source.ts'

/** A buildpack from elsewhere as one archive; what is in it is only unpacked inside a build container. */
export interface Fetched {
  archive: string
  /** The commit, or the hash of the archive. */
  revision: string
}

type Place = Pick<Config, 'data'>

/** By the whole URL, with its password: what one app may read is not given to another that only knows the commit. */
const archiveName = (url: string, revision: string): string =>
  `${createHash('sha256').update(url).digest('hex')}-${revision}.tar`

/**
 * Fetches a buildpack from a git URL (`#ref`: a branch, also with slashes, a tag or a commit) or from a .tgz at an http(s) URL, within
 * limits.buildpackTime and limits.buildpackSize. Commits are kept, so the next build only asks which commit the ref is.
 */
export async function fetchBuildpack(config: Place, url: string, signal: AbortSignal): Promise<Fetched> {
  const folder = join(config.data, 'buildpacks')
  await mkdir(folder, { recursive: true })
  // Not AbortSignal.any with AbortSignal.timeout: Node.js 20 may collect the timeout, and then it never comes.
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(new DOMException('too slow', 'TimeoutError')), limits.buildpackTime)
  const limit = AbortSignal.any([signal, late.signal])
  try {
    return isArchive(url) ? await fetchArchive(folder, url, limit) : await fetchRepository(folder, url, limit)
  } catch (error) {
    signal.throwIfAborted()
    throw new UserError(
      'invalid_params',
      `The buildpack ${publicUrl(url)} cannot be fetched: ${because(error, limit)}`,
      {
        cause: error,
      },
    )
  } finally {
    clearTimeout(timer)
  }
}

function because(error: unknown, limit: AbortSignal): string {
  if (error instanceof UserError) return error.message
  if (limit.aborted) return `it took longer than ${limits.buildpackTime / 1000} seconds.`
  const lines = messageOf(error).split('\n')
  return (lines.find((line) => /^(fatal|error|remote):/.test(line)) ?? lines[0] ?? '').slice(0, 300)
}

const isArchive = (url: string): boolean => /\.(tgz|tar\.gz|tar)(\?.*)?$|\/tarball\/[^/]+$/.test(url)

async function fetchArchive(folder: string, url: string, signal: AbortSignal): Promise<Fetched> {
  const { clean, authorization } = withoutPassword(url)
  const answer = await fetch(clean, { signal, ...(authorization ? { headers: { authorization } } : {}) })
  if (!answer.ok || !answer.body) throw new UserError('invalid_params', `the server answered ${answer.status}.`)
  const next = join(folder, `${randomUUID()}.part`)
  try {
    const body = Readable.fromWeb(answer.body as ReadableStream<Uint8Array>)
    await receiveSource(body, next, { signal, most: limits.buildpackSize })
    const revision = await hashFile(next)
    const archive = join(folder, archiveName(url, revision))
    await rename(next, archive)
    return { archive, revision }
  } finally {
    await rm(next, { force: true })
  }
}

async function fetchRepository(folder: string, url: string, signal: AbortSignal): Promise<Fetched> {
  const [, repository = url, ref] = /^([^#]*)#(.+)$/s.exec(url) ?? []
  const git = gitFor(repository.replace(/#$/, ''), signal)
  const revision = await commitOf(git, ref)
  const archive = join(folder, archiveName(repository, revision))
  if (await exists(archive)) return { archive, revision }
  const work = join(folder, `${randomUUID()}.part`)
  const disk = boundDisk(folder, { most: limits.buildpackSize * 4, watched: work })
  try {
    await git.clone(work, ref, revision, AbortSignal.any([signal, disk.signal]))
    // The server says which commit a ref is, and what the clone is: only the second is what will run.
    if ((await git.run(['-C', work, 'rev-parse', 'HEAD'])).trim() !== revision)
      throw new UserError('invalid_params', 'what the server sent is not the commit that it named. Push again.')
    await run('tar', ['-C', work, '--exclude=.git', '-cf', `${work}.tar`, '.'], { signal })
    await rename(`${work}.tar`, archive)
  } finally {
    disk.stop()
    await rm(work, { recursive: true, force: true })
    await rm(`${work}.tar`, { force: true })
  }
  return { archive, revision }
}

/** The commit that a branch or tag is now. A ref that is a commit already need not be asked for. */
async function commitOf(git: Git, ref = 'HEAD'): Promise<string> {
  if (/^[0-9a-f]{40}$/.test(ref)) return ref
  const lines = (await git.run(['ls-remote', '--', git.url, ref, `${ref}^{}`])).trim().split('\n')
  const found = lines.map((line) => line.split('\t'))
  const exact = (name: string) => found.find(([, full]) => full === name)?.[0]
  const commit =
    exact(`refs/tags/${ref}^{}`) ?? exact(`refs/tags/${ref}`) ?? exact(`refs/heads/${ref}`) ?? exact(ref) ?? ''
  if (!/^[0-9a-f]{40}$/.test(commit))
    throw new UserError(
      'invalid_params',
      `it has no branch or tag "${ref.slice(0, 100)}". A commit must be given in full.`,
    )
  return commit
}

interface Git {
  url: string
  run(args: string[]): Promise<string>
  clone(into: string, ref: string | undefined, commit: string, signal: AbortSignal): Promise<void>
}

/** git as a stranger: none of the host's configuration, no question asked, no hook, http and https only, no password in argv. */
function gitFor(url: string, signal: AbortSignal): Git {
  const { clean, authorization } = withoutPassword(url)
  const settings: [string, string][] = [
    ['core.hooksPath', '/dev/null'],
    ['core.symlinks', 'true'],
    ['advice.detachedHead', 'false'],
    ...(authorization ? [[`http.${clean}.extraHeader`, `Authorization: ${authorization}`] as [string, string]] : []),
  ]
  const env: Record<string, string> = {
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: 'true',
    GIT_ALLOW_PROTOCOL: 'http:https',
    GIT_CONFIG_COUNT: String(settings.length),
  }
  for (const [index, [key, value]] of settings.entries()) {
    env[`GIT_CONFIG_KEY_${index}`] = key
    env[`GIT_CONFIG_VALUE_${index}`] = value
  }
  const git = (args: string[], by = signal) => run('git', args, { env, signal: by, cwd: '/' })
  return {
    url: clean,
    run: git,
    async clone(into, ref, commit, by) {
      const named = ref !== commit
      const depth = named ? ['--depth=1', ...(ref === undefined ? [] : [`--branch=${ref}`])] : ['--no-checkout']
      await git(['clone', '--quiet', ...depth, '--', clean, into], by)
      if (!named) await git(['-C', into, 'checkout', '--quiet', commit], by)
      await git(['-C', into, 'submodule', 'update', '--quiet', '--init', '--recursive', '--depth=1'], by)
    },
  }
}

function withoutPassword(url: string): { clean: string; authorization: string | undefined } {
  const parsed = new URL(url)
  const { username, password } = parsed
  parsed.username = ''
  parsed.password = ''
  if (!username && !password) return { clean: url, authorization: undefined }
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { clean: parsed.href, authorization: `Basic ${Buffer.from(credentials).toString('base64')}` }
}

/** A URL as it may be shown. */
export const publicUrl = (url: string): string => withoutPassword(url).clean

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk)
  return hash.digest('hex')
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )
