import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { publicBuildpack } from '../../app/buildpack-name.ts'
import type { Daemon } from '../../daemon.ts'
import { invalid, UserError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { flush } from '../../run/tree.ts'
import { full, requireRoom } from '../disk.ts'
import { gitWords, openRepository, refNamed } from '../source/repository.ts'
import { fetchTree } from '../source/repository-tree.ts'
import { receiveSource } from '../source/source.ts'
import { dialerFor, get, hostOf, inWords, Unreachable } from '../source/web.ts'
import { createFlights } from './flight.ts'
import { archiveOf, type Kept, type Known, known, remember, shelfFolder, take } from './shelf.ts'

/** A buildpack from elsewhere as one archive; what is in it is only unpacked inside a build container. */
export interface Fetched extends Kept {
  /** Set when its server could not be asked: this is what it was at `at`. */
  stale?: { because: string; at: number }
}

type Parts = Pick<Daemon, 'config' | 'clock' | 'log'>

const flights = createFlights<Fetched>()

/**
 * Fetches a buildpack from a git URL (`#ref`: a branch, also with slashes, a tag or a commit) or from a tar at an http(s) URL, within
 * limits.buildpackTime and limits.buildpackSize. It asks each time, and gets only what it has not; when the server cannot be asked it is what
 * it was. Builds that want the same at once share one fetch. `trusted`: the operator named the host. Throws UserError, whose cause is
 * Unreachable or NotThere when it is that.
 */
export function fetchBuildpack(
  d: Parts,
  url: string,
  signal: AbortSignal,
  { trusted = false }: { trusted?: boolean } = {},
): Promise<Fetched> {
  return flights.join(`${d.config.data}\n${trusted}\n${url}`, signal, (end) => fetchOrKnown(d, url, trusted, end))
}

async function fetchOrKnown(d: Parts, url: string, trusted: boolean, signal: AbortSignal): Promise<Fetched> {
  // Not AbortSignal.any with AbortSignal.timeout: Node.js 20 may collect the timeout, and then it never comes.
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), limits.buildpackTime)
  const limit = AbortSignal.any([signal, late.signal])
  try {
    await shelfFolder(d)
    return isArchive(url) ? await fetchArchive(d, url, trusted, limit) : await fetchRepository(d, url, limit)
  } catch (error) {
    signal.throwIfAborted()
    const reason = late.signal.aborted ? tooSlow() : reasonOf(error)
    const before = reason instanceof Unreachable ? await known(d, url) : undefined
    if (!before) throw refused(url, reason)
    return { ...before, stale: { because: reason.message, at: before.at } }
  } finally {
    clearTimeout(timer)
  }
}

const tooSlow = () => new Unreachable(`it took longer than ${limits.buildpackTime / 1000} seconds`)

/** git's own failures are told in its words; whether the server was there is known by then. Throws what is a fault of this host's. */
function reasonOf(error: unknown): Error {
  if (error instanceof UserError || error instanceof Unreachable) return error
  if (error instanceof Error && 'code' in error) throw error
  return invalid(gitWords(error))
}

const refused = (url: string, reason: Error): UserError =>
  new UserError(
    'invalid_params',
    `The buildpack ${publicBuildpack(url)} cannot be fetched: ${reason.message.replace(/\.$/, '')}.`,
    { cause: reason },
  )

const ARCHIVE = /\.(tar|tgz|tbz2?|txz|tzst|tar\.(gz|bz2|xz|zst))$|\/(tarball|(legacy\.)?tar\.gz)\/.+$/i

/** By its path: the rest are git repositories. */
export const isArchive = (url: string): boolean => ARCHIVE.test(new URL(url).pathname)

async function fetchArchive(d: Parts, url: string, trusted: boolean, signal: AbortSignal): Promise<Fetched> {
  const before = await known(d, url)
  const asked = new URL(url)
  const headers = before?.etag === undefined ? {} : { 'If-None-Match': before.etag }
  const dialer = dialerFor(d, trusted ? [hostOf(asked)] : [])
  const { message, status } = await get(dialer, asked, { signal, headers })
  const folder = await shelfFolder(d)
  const next = join(folder, `${randomUUID()}.part`)
  try {
    const now = d.clock.now()
    if (status === 304 && before) {
      await remember(d, url, { ...before, at: now })
      return before
    }
    if (status >= 500 || status === 429) throw new Unreachable(`the server answered with status ${status}`)
    if (status !== 200) throw new NotThere(status)
    await requireRoom(folder)
    await receiveSource(message, next, { signal, most: limits.buildpackSize }).catch((error) => {
      throw notReceived(error)
    })
    const revision = await hashFile(next)
    const archive = archiveOf(d, url, revision)
    await flush(next)
    await rename(next, archive)
    const { etag } = message.headers
    await remember(d, url, { archive, revision, etag, at: now })
    return { archive, revision }
  } finally {
    message.destroy()
    await rm(next, { force: true })
  }
}

/** The server has answered that there is no such archive, or none for us. */
export class NotThere extends UserError {
  constructor(status: number) {
    super('invalid_params', `the server answered with status ${status}`)
  }
}

function notReceived(error: unknown): Error {
  if (error instanceof UserError && error.id === 'request_too_large')
    return invalid(`it is larger than ${limits.buildpackSize / 2 ** 20} MB`)
  return (error as { code?: unknown }).code === 'ENOSPC' ? full() : inWords(error)
}

async function fetchRepository(d: Parts, url: string, signal: AbortSignal): Promise<Fetched> {
  const [, source = url, wanted] = /^([^#]*)#(.*)$/s.exec(url) ?? []
  const ref = wanted || undefined
  const whole = ref !== undefined && /^[0-9a-f]{40}$/.test(ref)
  const found = (archive: string, revision: string): Known => ({
    archive,
    revision,
    etag: undefined,
    at: d.clock.now(),
  })
  if (whole && (await take(d, archiveOf(d, source, ref)))) return found(archiveOf(d, source, ref), ref)
  const repository = await openRepository(d, source, signal)
  const name = refNamed(repository.refs, ref)
  // The beginning of a commit: what it was found to be, it stays.
  const before = name === undefined ? await known(d, url) : undefined
  if (before) return before
  const named = name === undefined ? undefined : repository.refs.get(name)
  if (named !== undefined && (await take(d, archiveOf(d, source, named)))) {
    const same = found(archiveOf(d, source, named), named)
    await remember(d, url, same)
    return same
  }
  const folder = await shelfFolder(d)
  const next = join(folder, `${randomUUID()}.part`)
  try {
    await requireRoom(folder)
    const revision = await fetchTree(d, repository, { ref: name ?? ref ?? 'HEAD', folder, into: next, signal })
    const fetched = found(archiveOf(d, source, revision), revision)
    await flush(next)
    await rename(next, fetched.archive)
    await remember(d, url, fetched)
    return fetched
  } finally {
    await rm(next, { force: true })
  }
}

/** SHA-256, hex. */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk)
  return hash.digest('hex')
}
