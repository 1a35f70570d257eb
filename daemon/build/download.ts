import { randomUUID } from 'node:crypto'
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises'
import { Agent, type IncomingMessage, request } from 'node:http'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import type { Daemon } from '../daemon.ts'
import { invalid, UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { createDialer, DeliveryError, type Dialer } from '../logs/drain/dial.ts'
import { createTargets } from '../logs/drain/target.ts'
import { storeArchive } from './source.ts'
import { folderOf } from './upload.ts'

/**
 * Fetches an archive from elsewhere into a file that has no name any more, so that it goes when it is closed. The daemon connects for a
 * user: only to addresses that log drains may have, also after redirects. Throws UserError.
 */
export async function download(
  d: Daemon,
  url: string,
  signal: AbortSignal,
): Promise<{ file: FileHandle; checksum: string }> {
  const dialer = createDialer(createTargets(d.config.networkPool, d.config.drainAllow), d.config.caBundle, d.log)
  await mkdir(folderOf(d), { recursive: true })
  const part = join(folderOf(d), `${randomUUID()}.part`)
  const ended = new AbortController()
  const end = AbortSignal.any([signal, ended.signal])
  try {
    const answer = await follow(dialer, parseUrl(url), end)
    const { checksum } = await storeArchive(answer, part, { signal: end, time: limits.sourceTime })
    return { file: await open(part), checksum }
  } catch (error) {
    signal.throwIfAborted()
    throw inWords(error, url)
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

/** The answer with the archive, at the end of at most limits.sourceRedirects redirects. Credentials are for the first host only. */
async function follow(dialer: Dialer, first: URL, signal: AbortSignal): Promise<IncomingMessage> {
  let url = first
  for (let hops = 0; hops <= limits.sourceRedirects; hops++) {
    const answer = await get(dialer, url, { signal, authorization: url.origin === first.origin ? first : undefined })
    const { statusCode = 0, headers } = answer
    if (statusCode === 200) return answer
    answer.destroy()
    if (![301, 302, 303, 307, 308].includes(statusCode) || headers.location === undefined)
      throw invalid(`the server answered with status ${statusCode}`)
    if (!URL.canParse(headers.location, url.href)) throw invalid('the server redirects to what is no URL')
    url = parseUrl(new URL(headers.location, url).href)
  }
  throw invalid(`the server redirects more than ${limits.sourceRedirects} times`)
}

interface Asked {
  signal: AbortSignal
  /** Whose user and password are sent. */
  authorization: URL | undefined
}

function get(dialer: Dialer, url: URL, { signal, authorization }: Asked): Promise<IncomingMessage> {
  const secure = url.protocol === 'https:'
  const place = {
    scheme: secure ? ('https' as const) : ('http' as const),
    host: url.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, ''),
    port: Number(url.port || (secure ? 443 : 80)),
    path: `${url.pathname}${url.search}`,
    authorization: authorization?.username || authorization?.password ? credentials(authorization) : undefined,
  }
  const agent = new Agent()
  const createConnection = (_: unknown, done: (error: unknown, socket?: Socket) => void): void => {
    dialer.dial(place, signal).then((socket) => done(null, socket), done)
  }
  Object.assign(agent, { createConnection })
  const headers = {
    Host: url.host,
    'User-Agent': 'Sluice',
    'Accept-Encoding': 'identity',
    ...(place.authorization === undefined ? {} : { Authorization: place.authorization }),
  }
  return new Promise((resolve, reject) => {
    const sent = request({ agent, path: place.path, headers, signal })
    const late = setTimeout(() => sent.destroy(invalid('the server did not answer in time')), limits.sourceAnswer)
    sent.on('error', reject).on('response', resolve)
    sent.on('close', () => reject(invalid('the server closed the connection without an answer')))
    sent.on('response', () => clearTimeout(late)).on('error', () => clearTimeout(late))
    sent.end()
  })
}

const credentials = ({ username, password }: URL): string =>
  `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`

function inWords(error: unknown, url: string): unknown {
  if (error instanceof UserError && error.id !== 'invalid_params') return error
  const because =
    error instanceof UserError
      ? error.message
      : error instanceof DeliveryError
        ? error.message.replace('one that drains may have', 'one that sources may be fetched from')
        : 'the connection broke'
  return new UserError(
    'invalid_params',
    `The source at ${new URL(publicSource(url)).origin} cannot be fetched: ${because.replace(/\.$/, '')}.`,
    { cause: error },
  )
}
