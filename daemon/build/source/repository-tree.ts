import { randomUUID } from 'node:crypto'
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { invalid, UserError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { run } from '../command.ts'
import { boundDisk } from '../disk.ts'
import { gitWords, openRepository, type Parts, type Repository } from './repository.ts'
import { Unreachable } from './web.ts'

/** Unpacked, and with what git keeps beside it. */
const MOST = limits.buildpackSize * 4

const FULL = /^[0-9a-f]{40}$/

/**
 * Writes a commit, which is given by a ref's full name or as a commit (also by its beginning), and its submodules to a tar at `into`,
 * which must be on the file system of `folder`; returns the whole commit. Throws UserError.
 */
export async function fetchTree(
  d: Parts,
  repository: Repository,
  { ref, folder, into, signal }: { ref: string; folder: string; into: string; signal: AbortSignal },
): Promise<string> {
  const work = join(folder, `${randomUUID()}.part`)
  const disk = boundDisk(folder, { most: MOST, watched: work })
  const end = AbortSignal.any([signal, disk.signal])
  try {
    await mkdir(work, { recursive: true })
    const tar = join(work, 'tree.tar')
    const left = { count: limits.submodules }
    const commit = await archiveTree(d, repository, { ...{ ref, work, tar, left }, prefix: '', signal: end })
    if ((await stat(tar)).size > MOST) throw invalid(`it is larger than ${MOST / 2 ** 20} MB`)
    await rename(tar, into)
    return commit
  } catch (error) {
    if (end.aborted) throw end.reason
    throw error
  } finally {
    disk.stop()
    await rm(work, { recursive: true, force: true })
  }
}

interface Tree {
  ref: string
  work: string
  tar: string
  /** Where in the tar it is: empty, or a folder with its slash. */
  prefix: string
  signal: AbortSignal
  /** Submodules that may still come. */
  left: { count: number }
}

async function archiveTree(d: Parts, repository: Repository, tree: Tree): Promise<string> {
  const { work, tar, prefix, signal } = tree
  const bare = join(work, `${randomUUID()}.git`)
  const git = (...args: string[]) => repository.git(['-C', bare, ...args], signal)
  await repository.git(['init', '--quiet', '--bare', '--template=', bare], signal)
  const commit = await fetchCommit(git, repository.url, tree.ref)
  // As git would check it out: nothing is left out, and nothing filled in, because of what the tree says of its archives.
  await mkdir(join(bare, 'info'), { recursive: true })
  await writeFile(join(bare, 'info', 'attributes'), '* -export-ignore -export-subst\n')
  const part = prefix === '' ? tar : join(work, `${randomUUID()}.tar`)
  await git('archive', '--format=tar', `--prefix=${prefix}`, `--output=${part}`, commit)
  if (part !== tar) await run('tar', ['--concatenate', `--file=${tar}`, part], { signal })
  for (const submodule of await submodulesOf(git, commit)) {
    if (tree.left.count-- <= 0) throw invalid(`it has more than ${limits.submodules} submodules`)
    try {
      const from = await openRepository(d, absolute(submodule.url, repository.credentials), signal)
      await archiveTree(d, from, { ...tree, ref: submodule.commit, prefix: `${prefix}${submodule.path}/` })
    } catch (error) {
      if (signal.aborted) throw signal.reason
      throw inSubmodule(submodule.path, error)
    }
  }
  return commit
}

function inSubmodule(path: string, error: unknown): Error {
  const text = `its submodule ${path} cannot be fetched: ${error instanceof Unreachable || error instanceof UserError ? error.message : gitWords(error)}`
  return error instanceof Unreachable ? new Unreachable(text) : invalid(text)
}

/** Only that commit where the server allows it; else everything, and the commit out of that. */
async function fetchCommit(git: (...args: string[]) => Promise<string>, url: string, ref: string): Promise<string> {
  const fetch = (...what: string[]) => git('fetch', '--quiet', '--no-tags', ...what)
  if (ref === 'HEAD' || ref.startsWith('refs/')) {
    await fetch('--depth=1', '--', url, ref)
    return (await git('rev-parse', '--verify', 'FETCH_HEAD^{commit}')).trim()
  }
  const shallow =
    FULL.test(ref) &&
    (await fetch('--depth=1', '--', url, ref).then(
      () => true,
      () => false,
    ))
  if (!shallow) await fetch('--', url, '+refs/heads/*:refs/heads/*', '+refs/tags/*:refs/tags/*')
  const commit = await git('rev-parse', '--verify', '--quiet', `${ref}^{commit}`).catch(() => '')
  if (commit === '') throw invalid(`it has no branch, tag or commit "${ref}"`)
  return commit.trim()
}

interface Submodule {
  path: string
  url: string
  commit: string
}

/** Those that .gitmodules names and the commit has. */
async function submodulesOf(git: (...args: string[]) => Promise<string>, commit: string): Promise<Submodule[]> {
  const listed = await git('config', '--blob', `${commit}:.gitmodules`, '--null', '--list').catch(() => '')
  const named = new Map<string, { path?: string; url?: string }>()
  for (const entry of listed.split('\0')) {
    const [, name = '', key = '', value = ''] = /^submodule\.(.+)\.(path|url)\n(.*)$/s.exec(entry) ?? []
    if (key !== '') named.set(name, { ...named.get(name), [key]: value })
  }
  const found: Submodule[] = []
  for (const { path, url } of named.values()) {
    if (path === undefined || url === undefined) continue
    const entry = await git('--literal-pathspecs', 'ls-tree', '-z', commit, '--', path)
    const linked = /^160000 commit ([0-9a-f]{40})\t/.exec(entry)?.[1]
    if (linked !== undefined) found.push({ path, url, commit: linked })
  }
  return found
}

/** A relative one (`../other.git`) is on the same server, and is asked for with the same user and password. */
function absolute(url: string, base: URL): string {
  const relative = /^\.\.?\//.test(url)
  const found = relative ? new URL(url, `${base.href}/`) : URL.canParse(url) ? new URL(url) : undefined
  if (!found || !['http:', 'https:'].includes(found.protocol))
    throw invalid('its URL must begin with https:// or http://')
  if (relative) Object.assign(found, { username: base.username, password: base.password })
  return found.href
}
