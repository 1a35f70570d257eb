import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readLogins } from './logins.ts'
import { adminToken, apiUrl, Failure, NOT_LOGGED_IN, packageRoot, settings } from './settings.ts'

/** The platform that a command speaks to, and who speaks. */
export interface Platform {
  /** Of the API, without a slash at its end. */
  url: string
  token: string
  /** Host, and port where it is not 443, of its git remotes' https URLs. */
  git: string
  /** Its own authority, PEM, which connections to it trust beside Node's. */
  ca?: string | undefined
  /** The one of this host, whose data folder can be read. */
  here?: true
}

let found: Promise<Platform> | undefined

/**
 * What the environment names (`SLUICE_API_URL` with `SLUICE_API_KEY`, or one that is logged in to); where it names the data or the port of
 * one on this host, that, with its operator's token; else the one that was logged in to last; else that of this host.
 */
export const platform = (): Promise<Platform> => {
  found ??= find()
  return found
}

/** After a login, or a logout. */
export const forgetPlatform = (): void => {
  found = undefined
}

async function find(): Promise<Platform> {
  const { SLUICE_API_URL, SLUICE_API_KEY, SLUICE_API_CA } = process.env
  const { current, platforms } = await readLogins()
  if (!SLUICE_API_URL && isHere()) {
    const mine = await here().catch((error: unknown) => {
      // not the operator, but somebody who has logged in
      if (current === undefined) throw error
      return undefined
    })
    if (mine) return mine
  }
  const url = SLUICE_API_URL ? urlOf(SLUICE_API_URL) : current
  if (url === undefined) {
    // where there is a daemon, its platform is meant
    if (!existsSync(settings.data) && !existsSync(join(packageRoot, 'dist', 'daemon')))
      throw new Failure('You are not logged in. Run: sluice login URL, such as https://api.example.com', NOT_LOGGED_IN)
    return here()
  }
  requireSafe(url)
  const known = platforms[url]
  const token = (SLUICE_API_URL && SLUICE_API_KEY) || known?.token
  if (!token) throw new Failure(`You are not logged in to ${url}. Run: sluice login ${url}`, NOT_LOGGED_IN)
  const ca = SLUICE_API_CA ? await authority(SLUICE_API_CA) : known?.ca
  return { url, token, git: known?.git ?? new URL(url).host, ca }
}

const isHere = (): boolean =>
  ['SLUICE_DATA', 'SLUICE_PORT', 'SLUICE_ADMIN_TOKEN'].some((name) => Boolean(process.env[name]))

const here = async (): Promise<Platform> => ({
  url: apiUrl,
  token: await adminToken(),
  git: `localhost:${settings.apiPort}`,
  ca: await readFile(join(settings.data, 'tls', 'ca.pem'), 'utf8').catch(() => undefined),
  here: true,
})

const LOOPBACK = /^(localhost|.*\.localhost|127(\.\d+){3}|0\.0\.0\.0|\[::1?\])$/

/** Passwords and tokens go unencrypted to this machine only. */
export function requireSafe(url: string): void {
  const { protocol, hostname, host } = new URL(url)
  if (protocol === 'https:' || LOOPBACK.test(hostname)) return
  throw new Failure(
    `Passwords and tokens do not go over a network unencrypted. Use https://${host}: the same port answers to TLS.`,
  )
}

/** Authorities for a connection to it: those of everybody beside its own, as its certificate may come from either; or what Node is told to trust. */
export async function trusted({ ca }: Pick<Platform, 'ca'>): Promise<{ ca?: string[] }> {
  if (ca === undefined) return {}
  const { rootCertificates } = await import('node:tls')
  return { ca: [...rootCertificates, ca] }
}

/** As it is kept: a scheme, a host, no slash at the end. */
export function urlOf(text: string): string {
  const written = /^https?:\/\//i.test(text) ? text : `https://${text}`
  if (!URL.canParse(written)) throw new Failure(`${text} is no URL. The platform's is like https://api.example.com`)
  const { origin, username, password } = new URL(written)
  if (username || password) throw new Failure('Give the URL without a name and a password; you are asked for them.')
  return origin
}

export const authority = (path: string): Promise<string> =>
  readFile(path, 'utf8').catch((error: Error) => {
    throw new Failure(`The authority's file cannot be read: ${error.message}`)
  })
