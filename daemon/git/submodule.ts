import { createReadStream } from 'node:fs'
import { fetchBuildpack } from '../build/buildpack/fetch.ts'
import { publicSource } from '../build/source/download.ts'
import { shownName } from '../build/source/source.ts'
import { rewriteMembers } from '../build/source/tar.ts'
import type { Daemon } from '../daemon.ts'
import { messageOf, UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { read, type Store } from './plumbing.ts'
import type { Survey } from './tree.ts'

interface Submodule {
  /** As bytes (latin1). */
  path: string
  name: string
  url: string
  commit: string
}

interface Wanted {
  store: Store
  commit: string
  tree: Survey
  /** For who pushes. */
  output(text: string): void
  signal: AbortSignal
}

/** The files of a commit's submodules. */
export interface Fetched {
  path: string
  /** A tar, with those of its own submodules. */
  archive: string
}

/**
 * Fetches what a commit has of other repositories, as Heroku does on a push: each by https or http from where sources may be fetched
 * from, and kept as buildpacks are, so that a commit is fetched once. Throws UserError for one that is not named in `.gitmodules` or
 * cannot be fetched.
 */
export async function fetchSubmodules(d: Pick<Daemon, 'config' | 'clock' | 'log'>, wanted: Wanted): Promise<Fetched[]> {
  const { tree, output, signal } = wanted
  if (tree.submodules.length === 0) return []
  if (tree.modules === 0) {
    for (const { path } of tree.submodules) output(` !     ${lost(path)}\n`)
    return []
  }
  output('Git submodules detected, installing:\n')
  const submodules = await submodulesOf(wanted)
  for (const { name, url, path } of submodules)
    output(`Submodule '${name}' (${publicSource(url)}) registered for path '${shownName(path)}'\n`)
  const fetched: Fetched[] = []
  for (const { path, url, commit } of submodules) {
    const { archive } = await fetchBuildpack(d, `${url}#${commit}`, signal).catch((error: unknown) => {
      if (!(error instanceof UserError)) throw error
      throw refuse(`The submodule ${shownName(path)} cannot be fetched: ${messageOf(error.cause ?? error)}.`)
    })
    fetched.push({ path, archive })
    output(`Submodule path '${shownName(path)}': checked out '${commit}'\n`)
  }
  return fetched
}

const lost = (path: string): string =>
  `${shownName(path)} is a repository of its own, and no .gitmodules says which, so it is an empty folder here. Commit its files, or add it with \`git submodule add\`.`

/** Those that the commit has, with what `.gitmodules` says of them. */
async function submodulesOf({ store, commit, tree, signal }: Wanted): Promise<Submodule[]> {
  if (tree.submodules.length > limits.submodules)
    throw refuse(`This commit has ${tree.submodules.length} submodules; ${limits.submodules} are allowed.`)
  if (tree.modules > limits.manifestSize) throw refuse(UNREADABLE)
  const args = ['config', '--null', '--list', '--blob', `${commit}:.gitmodules`]
  const listed = await read(store, args, signal).catch((error: unknown) => {
    throw signal.aborted ? error : refuse(UNREADABLE)
  })
  const named = new Map<string, { path?: string; url?: string }>()
  for (const entry of listed.split('\0')) {
    const [, name = '', key = '', value = ''] = /^submodule\.(.+)\.(path|url)\n(.*)$/s.exec(entry) ?? []
    if (key !== '') named.set(name, { ...named.get(name), [key]: value })
  }
  return tree.submodules.map(({ path, commit }) => {
    const [name, { url } = {}] = [...named].find(([, one]) => one.path === textOf(path)) ?? []
    if (name === undefined || url === undefined)
      throw refuse(`No submodule mapping found in .gitmodules for path '${shownName(path)}'.`)
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
      throw refuse(
        `The submodule ${shownName(path)} cannot be fetched: its URL in .gitmodules must begin with https://.`,
      )
    return { path, name: shownName(name), url, commit }
  })
}

/** As `.gitmodules` writes it. */
const textOf = (path: string): string => Buffer.from(path, 'latin1').toString()

const UNREADABLE = 'The .gitmodules of this commit cannot be read.'

const refuse = (why: string): UserError =>
  new UserError('invalid_params', `${why}\nPush rejected, submodule install failed`)

/** The members of a tar with these files, without its end: another archive follows. */
export async function* membersOf(fetched: readonly Fetched[]): AsyncGenerator<Buffer> {
  for (const { path, archive } of fetched) yield* rewriteMembers(createReadStream(archive), (name) => `${path}/${name}`)
}
