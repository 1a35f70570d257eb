import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import type { Daemon } from '../../daemon.ts'
import { invalid, messageOf, withoutPaths } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { run } from '../command.ts'
import { authorizationOf, dialerFor, get, hostOf, inWords, portOf, Unreachable } from './web.ts'

/**
 * Git repositories elsewhere, over http and https. The daemon connects for a user, so it asks for the refs itself, by the guarded way and
 * through redirects (web.ts); then git fetches from exactly where that ended, at the addresses that were allowed, following nothing
 * further. No working tree is made: what is fetched becomes a tar, its submodules with it.
 */
export interface Repository {
  /** Where its redirects end, without user and password. */
  url: string
  refs: Refs
  git: (args: string[], signal: AbortSignal) => Promise<string>
  /** Given on to submodules with a relative URL. */
  credentials: URL
}

/** Commits by the full names of refs; a tag is its commit. */
export type Refs = ReadonlyMap<string, string>

export type Parts = Pick<Daemon, 'config' | 'log'>

/** Asks a repository for its refs. Rejects with Unreachable, or UserError for what is no repository that may be read. */
export async function openRepository(d: Parts, text: string, signal: AbortSignal): Promise<Repository> {
  const asked = repositoryUrl(text)
  const dialer = dialerFor(d)
  const advertised = new URL(asked)
  advertised.pathname += '/info/refs'
  advertised.search = '?service=git-upload-pack'
  const { message, status, url } = await get(dialer, advertised, {
    signal,
    headers: { 'User-Agent': 'git/2 (Sluice)' },
  })
  try {
    judge(status, message)
    const refs = parseRefs(await readAll(message))
    const credentials = new URL(url)
    const sameOrigin = url.origin === asked.origin
    Object.assign(credentials, {
      username: sameOrigin ? asked.username : '',
      password: sameOrigin ? asked.password : '',
    })
    credentials.pathname = url.pathname.replace(/\/info\/refs$/, '')
    credentials.search = ''
    const addresses = await dialer.addressesOf(hostOf(url), signal)
    return { refs, credentials, ...gitFor(d, credentials, addresses) }
  } catch (error) {
    throw inWords(error)
  } finally {
    message.destroy()
  }
}

/** Without the fragment, and without a dot at the end of the host, which git would ask for by another name than the one that is pinned. */
function repositoryUrl(text: string): URL {
  const url = new URL(text)
  url.hash = ''
  url.hostname = url.hostname.replace(/\.$/, '')
  url.pathname = url.pathname.replace(/\/+$/, '')
  return url
}

function judge(status: number, { headers }: IncomingMessage): void {
  if (status === 401 || status === 403)
    throw invalid('there is no such repository, or the server asks for a user and a password, which the URL may have')
  if (status === 404 || status === 410) throw invalid('there is no such repository')
  if (status >= 500 || status === 429) throw new Unreachable(`the server answered with status ${status}`)
  if (status !== 200 || headers['content-type'] !== 'application/x-git-upload-pack-advertisement')
    throw invalid('there is no git repository at this URL, nor does it end as an archive does (.tgz, .tar.gz, .tar)')
}

async function readAll(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of message) {
    size += chunk.length
    if (size > limits.repositoryRefs) throw invalid('the repository has too many branches and tags')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** What a server says first (https://git-scm.com/docs/http-protocol): lines with their length in front, the first with what it can do. */
export function parseRefs(advertisement: Buffer): Refs {
  const refs = new Map<string, string>()
  for (let at = 0; at + 4 <= advertisement.length; ) {
    const length = Number.parseInt(advertisement.toString('latin1', at, at + 4), 16)
    if (Number.isNaN(length)) throw invalid('the server did not answer as a git server does')
    const [line = ''] = advertisement.toString('utf8', at + 4, at + length).split('\0')
    const [, commit = '', name = ''] = /^([0-9a-f]{40}) ([^\n]+)\n?$/.exec(line) ?? []
    // An annotated tag comes twice, the second time as what it is a tag of.
    if (name !== '' && !/^0+$/.test(commit)) refs.set(name.replace(/\^\{\}$/, ''), commit)
    at += Math.max(length, 4)
  }
  return refs
}

/** The full name of a branch, which comes before a tag of the same name, or of a tag; undefined for what may be a commit. */
export function refNamed(refs: Refs, wanted: string | undefined): string | undefined {
  if (wanted === undefined) {
    if (refs.has('HEAD')) return 'HEAD'
    throw invalid('the repository has no commits')
  }
  const name = [`refs/heads/${wanted}`, `refs/tags/${wanted}`, wanted].find((one) => refs.has(one))
  if (name === undefined && !/^[0-9a-f]{7,40}$/.test(wanted))
    throw invalid(`it has no branch, tag or commit "${wanted.slice(0, 100)}"`)
  return name
}

/** git as a stranger: none of the host's configuration, no question asked, no hook, no password in argv. */
function gitFor({ config }: Parts, credentials: URL, addresses: string[]): Pick<Repository, 'url' | 'git'> {
  const clean = new URL(credentials)
  Object.assign(clean, { username: '', password: '' })
  const settings = gitSettings(clean, {
    addresses,
    caBundle: config.caBundle,
    authorization: authorizationOf(credentials),
  })
  const env: Record<string, string> = {
    // Of the host's user: no .netrc, whose passwords would be sent, and no configuration.
    HOME: '/nonexistent',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: 'true',
    GIT_ALLOW_PROTOCOL: 'http:https',
    GIT_CONFIG_COUNT: String(settings.length),
  }
  for (const [index, [key = '', value = '']] of settings.entries()) {
    env[`GIT_CONFIG_KEY_${index}`] = key
    env[`GIT_CONFIG_VALUE_${index}`] = value
  }
  return { url: clean.href, git: (args, signal) => run('git', args, { env, signal, cwd: '/' }) }
}

interface Server {
  addresses: readonly string[]
  caBundle: string | undefined
  authorization: string | undefined
}

/** With these git connects to nothing but these addresses: it looks no name up, and follows no redirect. */
export const gitSettings = (url: URL, { addresses, caBundle, authorization }: Server): string[][] => [
  ['core.hooksPath', '/dev/null'],
  ['gc.auto', '0'],
  ['http.followRedirects', 'false'],
  ['http.proxy', ''],
  ...(isIP(hostOf(url))
    ? []
    : [['http.curloptResolve', `${hostOf(url)}:${portOf(url)}:${addresses.map(bracketed).join(',')}`]]),
  ...(caBundle === undefined ? [] : [['http.sslCAInfo', caBundle]]),
  ...(authorization === undefined ? [] : [[`http.${url.href}.extraHeader`, `Authorization: ${authorization}`]]),
]

const bracketed = (address: string): string => (isIP(address) === 6 ? `[${address}]` : address)

/** The line of git's that says what was wrong. */
export function gitWords(error: unknown): string {
  const lines = messageOf(error).split('\n')
  const said = lines.find((line) => /^(fatal|error|remote):/.test(line)) ?? lines[0] ?? ''
  return withoutPaths(said.replace(/\p{Cc}/gu, ' ')).slice(0, 300)
}
