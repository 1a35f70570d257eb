import { createHash, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { read } from './api.ts'
import { requireSafe } from './platform.ts'
import { attended, confirmed } from './prompt.ts'
import { registered } from './registered.ts'
import { request, Untrusted } from './request.ts'
import { Failure } from './settings.ts'

/** What a platform tells everybody, and the authority that is trusted for it from now on. */
export interface Introduction {
  version: string
  /** Host, and port where it is not 443, of its git remotes. */
  git: string
  /** PEM; undefined when Node trusts the platform anyway. */
  ca: string | undefined
}

interface Told {
  version: string
  git_host: string
  authority: string | null
}

export interface Acquaintance {
  /** The authority that the caller has brought, PEM. */
  file?: string | undefined
  /** That which is trusted already. */
  known?: string | undefined
  /** Where git is, as far as somebody has agreed to it. */
  git?: string | undefined
}

/**
 * Gets to know a platform. Its own authority comes from a file of the caller's, or from the platform itself: then somebody has to say that
 * its fingerprint is the right one, as for a host key of SSH. git gives the token to the host that the platform names, so a stranger's has
 * to be agreed to as well.
 */
export async function meet(url: string, acquaintance: Acquaintance): Promise<Introduction> {
  requireSafe(url)
  const introduction = await introduce(url, acquaintance)
  const { git } = introduction
  if (git !== acquaintance.git && !isRelated(hostnameOf(git), new URL(url).hostname)) await agree(url, git)
  return introduction
}

async function introduce(url: string, { file, known }: Acquaintance): Promise<Introduction> {
  const trusted = file ?? known
  const told = await tell(url, { ca: trusted }).catch((error: unknown) => {
    if (!(error instanceof Untrusted)) throw error
    if (file !== undefined) throw new Failure(`The certificate of ${url} is not from the authority in that file.`)
    return undefined
  })
  if (told) return { ...introduced(told), ca: trusted ?? (await gitAuthority(told)) }
  const { authority } = await tell(url, { unverified: true })
  if (authority === null)
    throw new Failure(`${url} has a certificate that is not trusted here, and shows no authority of its own.`)
  await trust(url, authority, known !== undefined)
  // now for real: that it shows the authority does not mean that its certificate is from it
  return { ...introduced(await tell(url, { ca: authority })), ca: authority }
}

const hostnameOf = (git: string): string => new URL(`https://${git}`).hostname

/** Whether a host is the platform's own, below it, or has a name that the same people have registered: api.example.com, git.example.com. */
export function isRelated(host: string, own: string): boolean {
  if (host === own || host.endsWith(`.${own}`)) return true
  const hasParent = (name: string) => isIP(name) === 0 && name.split('.').length > 2
  return hasParent(host) && hasParent(own) && registered(host) === registered(own)
}

async function agree(url: string, git: string): Promise<void> {
  const facts = `${url} says that its repositories are at ${git}, which is elsewhere. Your token goes there with each push.`
  if (!attended()) throw new Failure(`${facts}\nThere is no terminal to ask on. Log in at one to agree to it.`)
  process.stderr.write(`${facts}\n`)
  if (!(await confirmed(`Is ${git} the platform's too?`, false))) throw new Failure('Nothing was changed.')
}

const introduced = ({ version, git_host }: Told) => ({ version: String(version), git: hostOf(git_host) })

const HOST = /^(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[\da-f:]+\])(?::\d{1,5})?$/i

/** As it goes into git's settings, whose names are patterns: there `*` is every host, which would trust this platform's authority for all. */
export function hostOf(told: unknown): string {
  if (typeof told === 'string' && HOST.test(told)) return told
  throw new Failure(
    `The platform says that git is at ${JSON.stringify(told)}, which is no host. Whoever runs it mends that.`,
  )
}

async function tell(url: string, how: { ca?: string | undefined; unverified?: boolean }): Promise<Told> {
  return read<Told>(url, await request(`${url}/cli/platform`, { method: 'GET', ...how }))
}

/** git goes by TLS, even to a platform on this machine that is reached without. */
async function gitAuthority({ git_host, authority }: Told): Promise<string | undefined> {
  if (authority === null) return undefined
  const url = `https://${hostOf(git_host)}`
  const reached = await request(url, { method: 'GET', patient: false }).then(
    () => true,
    (error: unknown) => !(error instanceof Untrusted),
  )
  return reached ? undefined : authority
}

async function trust(url: string, authority: string, changed: boolean): Promise<void> {
  const fingerprint = fingerprintOf(authority)
  const what = changed
    ? 'ANOTHER AUTHORITY THAN BEFORE'
    : 'an authority of its own, which this machine does not know yet'
  const facts = `${url} shows ${what}. Its SHA-256 fingerprint is\n  ${fingerprint}`
  const way = "On the platform's host that is: openssl x509 -noout -fingerprint -sha256 -in DATA/tls/ca.pem"
  if (!attended())
    throw new Failure(`${facts}\n${way}\nThere is no terminal to ask on. Give the authority as a file: --ca FILE`)
  process.stderr.write(`${facts}\n${way}\n`)
  if (!(await confirmed('Trust it for this platform?', false))) throw new Failure('Nothing was changed.')
}

export function fingerprintOf(pem: string): string {
  try {
    return new X509Certificate(pem).fingerprint256
  } catch {
    throw new Failure(
      `The platform's authority is no certificate (${createHash('sha256').update(pem).digest('hex').slice(0, 12)}).`,
    )
  }
}
