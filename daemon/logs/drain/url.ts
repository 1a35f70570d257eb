import { invalid } from '../../errors.ts'
import { limits } from '../../limits.ts'

/** Where a drain sends lines. */
export interface DrainUrl {
  scheme: Scheme
  /** Lower case and ASCII; every notation of an IP address in its plain form, IPv6 without brackets. */
  host: string
  port: number
  /** Path and query of an HTTP request; empty for syslog. */
  path: string
  /** Value of the header that proves who we are; a secret. */
  authorization: string | undefined
}

type Scheme = keyof typeof PORTS

/** Logplex's defaults for syslog: IANA's syslog-conn and syslog-tls. */
const PORTS = { syslog: 601, 'syslog+tls': 6514, http: 80, https: 443 } as const

const isScheme = (name: string): name is Scheme => Object.hasOwn(PORTS, name)

/** Throws UserError; what was typed is not repeated, because it may hold a password. */
export function parseDrainUrl(text: string): DrainUrl {
  if (text.length > limits.drainUrl) throw refuse(`it may have ${limits.drainUrl} characters`)
  // URL parsers drop tabs and newlines silently, which would send lines elsewhere than it reads.
  if (!/^[^\s\p{Cc}\\]+$/u.test(text)) throw refuse('it must have no spaces, control characters or backslashes')
  const [, name = ''] = /^([a-z][a-z0-9+.-]*):\/\/[^/?#]/i.exec(text) ?? []
  const scheme = name.toLowerCase()
  if (!isScheme(scheme)) throw refuse('it must begin with syslog://, syslog+tls://, https:// or http://, and a host')
  const url = parse(text)
  if (!url) throw refuse('its host or its port is not valid')
  if (url.port === '0') throw refuse('its port must be between 1 and 65535')
  if (url.hash !== '')
    throw refuse('it must not have a part after #. Certificates are always verified; see SLUICE_CA_BUNDLE')
  const http = scheme === 'http' || scheme === 'https'
  if (!http && (url.username !== '' || url.password !== '' || url.search !== '' || !/^\/?$/.test(url.pathname)))
    throw refuse('syslog has no user, path or query; only a host and a port')
  return {
    scheme,
    host: hostOf(url),
    port: url.port === '' ? PORTS[scheme] : Number(url.port),
    path: http ? `${url.pathname}${url.search}` : '',
    authorization: http ? authorizationOf(url) : undefined,
  }
}

/** What may be shown of it: no user, password, path or query, all of which may be secrets. */
export const placeOf = ({ scheme, host, port }: DrainUrl): string =>
  `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}/`

/** Whether both mean the same receiver. */
export const sameUrl = (a: DrainUrl, b: DrainUrl): boolean =>
  placeOf(a) === placeOf(b) && a.path === b.path && a.authorization === b.authorization

const refuse = (why: string) => invalid(`The URL is not valid: ${why}.`)

function parse(text: string): URL | undefined {
  try {
    return new URL(text)
  } catch {
    return undefined
  }
}

/** Only for HTTP does a URL parser know hosts; it would leave `2130706433` of a syslog URL as it is, which is 127.0.0.1. */
function hostOf({ hostname }: URL): string {
  const host = parse(`http://${hostname}/`)?.hostname.replace(/\.$/, '')
  if (!host) throw refuse('its host is not valid')
  return host.replace(/^\[(.*)\]$/, '$1')
}

function authorizationOf({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined
  try {
    const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
    return `Basic ${Buffer.from(pair).toString('base64')}`
  } catch {
    throw refuse('a % in its user or password must be written as %25')
  }
}
