import { randomUUID } from 'node:crypto'
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Daemon } from '../../daemon.ts'
import { invalid, UserError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { storeArchive } from './source.ts'
import { folderOf } from './upload.ts'
import { dialerFor, get, inWords } from './web.ts'

/**
 * Fetches an archive from elsewhere into a file that has no name any more, so that it goes when it is closed. The daemon connects for a
 * user: only to addresses that log drains may have, also after redirects. Throws UserError.
 */
export async function download(
  d: Daemon,
  url: string,
  signal: AbortSignal,
): Promise<{ file: FileHandle; checksum: string }> {
  await mkdir(folderOf(d), { recursive: true })
  const part = join(folderOf(d), `${randomUUID()}.part`)
  const ended = new AbortController()
  const end = AbortSignal.any([signal, ended.signal])
  try {
    const { message, status } = await get(dialerFor(d), parseUrl(url), { signal: end })
    if (status !== 200) throw invalid(`the server answered with status ${status}`)
    const { checksum } = await storeArchive(message, part, { signal: end, time: limits.sourceTime })
    return { file: await open(part), checksum }
  } catch (error) {
    signal.throwIfAborted()
    throw notFetched(error, url)
  } finally {
    ended.abort()
    await rm(part, { force: true })
  }
}

/** Throws UserError for what no source can be fetched from. The text is not repeated, because it may hold a password. */
export function parseUrl(text: string): URL {
  const url = text.length <= limits.sourceUrl && URL.canParse(text) ? new URL(text) : undefined
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.hostname === '' || url.port === '0')
    throw invalid(
      `The URL of the source is not valid: it must begin with https:// or http://, and have at most ${limits.sourceUrl} characters.`,
    )
  if (!decodes(url.username + url.password))
    throw invalid('The URL of the source is not valid: a % in its user or password must be written as %25.')
  return url
}

function decodes(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

/** A URL as it may be shown to everybody: its user, password and query may be secrets. */
export function publicSource(text: string): string {
  const url = new URL(text)
  return `${url.origin}${url.pathname}`
}

function notFetched(error: unknown, url: string): unknown {
  if (error instanceof UserError && error.id !== 'invalid_params') return error
  const because = error instanceof UserError ? error.message : inWords(error).message
  return new UserError(
    'invalid_params',
    `The source at ${new URL(publicSource(url)).origin} cannot be fetched: ${because.replace(/\.$/, '')}.`,
    { cause: error },
  )
}
