import { Agent, type IncomingMessage, request } from 'node:http'
import type { Socket } from 'node:net'
import type { Daemon } from '../../daemon.ts'
import { invalid, UserError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { createDialer, DeliveryError, type Dialer, RefusedAddress } from '../../logs/drain/dial.ts'
import { createTargets } from '../../logs/drain/target.ts'

/** The server could not be asked, so what it would have said is not known. In words for people. */
export class Unreachable extends Error {}

/**
 * Connections to what users name by URL: only to addresses that log drains may have (logs/drain/target.ts). `trusted` are hosts that the
 * operator named.
 */
export function dialerFor({ config, log }: Pick<Daemon, 'config' | 'log'>, trusted: readonly string[] = []): Dialer {
  const { hosts, networks } = config.drainAllow
  const targets = createTargets(config.networkPool, { hosts: [...hosts, ...trusted], networks })
  return createDialer(targets, config.caBundle, log)
}

export interface Asked {
  signal: AbortSignal
  headers?: Record<string, string>
}

export interface Answer {
  message: IncomingMessage
  status: number
  /** Where the redirects ended. */
  url: URL
}

/**
 * What a server answers, at the end of at most limits.sourceRedirects redirects, each to where `dialer` may go. The user and password of
 * the URL are for its own origin only. Rejects with Unreachable, or with UserError for what another try would not change.
 */
export async function get(dialer: Dialer, first: URL, asked: Asked): Promise<Answer> {
  if (!isWeb(first)) throw invalid('its URL must begin with https:// or http://')
  let url = first
  for (let hops = 0; hops <= limits.sourceRedirects; hops++) {
    const message = await send(dialer, url, {
      ...asked,
      authorization: url.origin === first.origin ? first : undefined,
    })
    const { statusCode: status = 0, headers } = message
    if (![301, 302, 303, 307, 308].includes(status)) return { message, status, url }
    message.destroy()
    url = redirected(headers.location, url)
  }
  throw invalid(`the server redirects more than ${limits.sourceRedirects} times`)
}

const isWeb = ({ protocol }: URL): boolean => protocol === 'http:' || protocol === 'https:'

function redirected(location: string | undefined, from: URL): URL {
  const url = location !== undefined && URL.canParse(location, from.href) ? new URL(location, from.href) : undefined
  if (!url || !isWeb(url) || url.port === '0' || url.href.length > limits.sourceUrl)
    throw invalid('the server redirects to a URL that must begin with https:// or http://')
  return url
}

/** The host as sockets want it. */
export const hostOf = (url: URL): string => url.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '')

export const portOf = (url: URL): number => Number(url.port || (url.protocol === 'https:' ? 443 : 80))

/** For a header: what the URL's user and password are, if it has any. */
export const authorizationOf = ({ username, password }: URL): string | undefined =>
  username || password
    ? `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`
    : undefined

function send(
  dialer: Dialer,
  url: URL,
  { signal, headers = {}, authorization }: Asked & { authorization: URL | undefined },
): Promise<IncomingMessage> {
  const place = {
    scheme: url.protocol === 'https:' ? ('https' as const) : ('http' as const),
    ...{ host: hostOf(url), port: portOf(url), path: `${url.pathname}${url.search}` },
    authorization: authorization === undefined ? undefined : authorizationOf(authorization),
  }
  const agent = new Agent()
  const createConnection = (_: unknown, done: (error: unknown, socket?: Socket) => void): void => {
    dialer.dial(place, signal).then((socket) => done(null, socket), done)
  }
  Object.assign(agent, { createConnection })
  const all = {
    ...{ Host: url.host, 'User-Agent': 'Sluice', 'Accept-Encoding': 'identity', ...headers },
    ...(place.authorization === undefined ? {} : { Authorization: place.authorization }),
  }
  return new Promise((resolve, reject) => {
    const sent = request({ agent, path: place.path, headers: all, signal })
    const late = setTimeout(
      () => sent.destroy(new Unreachable('the server did not answer in time')),
      limits.sourceAnswer,
    )
    sent.on('response', resolve).on('error', (error) => reject(signal.aborted ? error : inWords(error)))
    sent.on('close', () => reject(new Unreachable('the server closed the connection without an answer')))
    sent.on('response', () => clearTimeout(late)).on('error', () => clearTimeout(late))
    sent.end()
  })
}

/** Why there was no answer. */
export function inWords(error: unknown): Error {
  if (error instanceof Unreachable || error instanceof UserError) return error
  if (error instanceof RefusedAddress)
    return invalid('the address is not one that sources may be fetched from, see SLUICE_DRAIN_ALLOW')
  if (error instanceof DeliveryError && error.code === 'L14') return invalid(error.message)
  return new Unreachable(error instanceof DeliveryError ? error.message : 'the connection broke')
}
