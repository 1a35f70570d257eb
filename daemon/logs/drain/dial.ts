import { promises as dns, type LookupAddress } from 'node:dns'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, isIP, type Socket } from 'node:net'
import { createSecureContext, rootCertificates, type SecureContext, connect as tlsConnect } from 'node:tls'
import { messageOf } from '../../errors.ts'
import { limits } from '../../limits.ts'
import type { Log } from '../../log.ts'
import type { Targets } from './target.ts'
import type { DrainUrl } from './url.ts'

/** Why lines were not delivered, in words that hold nothing secret and nothing that the receiver chose. */
export class DeliveryError extends Error {
  /** As Heroku numbers them: https://devcenter.heroku.com/articles/error-codes#l13-local-delivery-error */
  readonly code: 'L13' | 'L14'
  constructor(code: 'L13' | 'L14', message: string) {
    super(message)
    this.code = code
  }
}

/** The host is at no address that may be connected to. */
export class RefusedAddress extends DeliveryError {
  constructor() {
    super('L13', 'the address is not one that drains may have, see SLUICE_DRAIN_ALLOW')
  }
}

/** Connections to receivers. The address that is connected to is the very one that was checked, whatever the name means later. */
export interface Dialer {
  /** Over TLS with a certificate that is valid for the host. Rejects with DeliveryError, after `limits.drainConnect` ms at most. */
  dial(url: DrainUrl, signal: AbortSignal): Promise<Socket>
  /** The addresses of the host that may be connected to, for a program that connects by itself. Rejects with DeliveryError, as `dial`. */
  addressesOf(host: string, signal: AbortSignal): Promise<string[]>
  /** Whether the host is, as far as is known now, only at addresses that a drain may not have. */
  refuses(host: string): Promise<boolean>
}

export function createDialer(targets: Targets, caBundle: string | undefined, log: Log): Dialer {
  let trusted: SecureContext | undefined
  const trust = () => {
    trusted ??= createSecureContext({ ca: [...rootCertificates, ...readBundle(caBundle, log)] })
    return trusted
  }
  const allowedAt = async (host: string, signal: AbortSignal): Promise<LookupAddress[]> => {
    const allowed = (await withSignal(lookUp(host), signal)).filter(
      ({ address }) => targets.allowsHost(host) || targets.allowsAddress(address),
    )
    if (allowed.length === 0) throw new RefusedAddress()
    return allowed
  }
  const dial = async (url: DrainUrl, signal: AbortSignal): Promise<Socket> => {
    const allowed = await allowedAt(url.host, signal)
    let failure: unknown
    for (const { address } of oneOfEach(allowed)) {
      try {
        return await open(url, address, trust, signal)
      } catch (error) {
        failure = error
        if (signal.aborted || deliveryError(error).code === 'L14') break
      }
    }
    throw failure
  }
  const inTime = <Result>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<Result>): Promise<Result> => {
    const late = new DeliveryError('L13', `no connection within ${limits.drainConnect / 1000} seconds`)
    return withDeadline(limits.drainConnect, late, signal, work).catch((error) => {
      throw deliveryError(error)
    })
  }
  return {
    dial: (url, signal) => inTime(signal, (either) => dial(url, either)),
    addressesOf: (host, signal) =>
      inTime(signal, async (either) => (await allowedAt(host, either)).map(({ address }) => address)),
    async refuses(host) {
      if (targets.allowsHost(host)) return false
      const found = await withSignal(lookUp(host), AbortSignal.timeout(limits.drainGather)).catch(() => [])
      return found.length > 0 && found.every(({ address }) => !targets.allowsAddress(address))
    },
  }
}

/**
 * Does work that ends, by its signal, with the drain or after `ms`, then rejecting with `late`. Not AbortSignal.any with a timeout:
 * Node.js 20 may collect the timeout, and then it never comes.
 */
export async function withDeadline<Result>(
  ms: number,
  late: DeliveryError,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const either = new AbortController()
  const give = () => either.abort(signal.reason)
  const timer = setTimeout(() => either.abort(late), ms)
  signal.addEventListener('abort', give)
  if (signal.aborted) give()
  try {
    return await work(either.signal)
  } catch (error) {
    throw either.signal.aborted ? either.signal.reason : error
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', give)
  }
}

async function lookUp(host: string): Promise<LookupAddress[]> {
  const family = isIP(host)
  return family === 0 ? dns.lookup(host, { all: true, verbatim: true }) : [{ address: host, family }]
}

/** One address of each family: a name of many addresses must not take many times the time. */
const oneOfEach = (addresses: LookupAddress[]): LookupAddress[] =>
  addresses.filter(({ family }, place) => addresses.findIndex((other) => other.family === family) === place)

async function open(
  { scheme, host, port }: DrainUrl,
  address: string,
  trust: () => SecureContext,
  signal: AbortSignal,
): Promise<Socket> {
  const secure = scheme === 'https' || scheme === 'syslog+tls'
  // Without a server name the certificate must be for the address itself.
  const name = isIP(host) ? {} : { servername: host }
  const socket = secure
    ? tlsConnect({ host: address, port, secureContext: trust(), ...name })
    : connect({ host: address, port })
  try {
    await once(socket, secure ? 'secureConnect' : 'connect', { signal })
    return socket.setNoDelay(true)
  } catch (error) {
    socket.on('error', () => undefined).destroy()
    throw error
  }
}

/** Lookups cannot be given up; whoever waits can. */
function withSignal<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    const give = () => reject(signal.reason)
    if (signal.aborted) give()
    signal.addEventListener('abort', give, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', give))
  })
}

function readBundle(path: string | undefined, log: Log): string[] {
  try {
    return path === undefined ? [] : [readFileSync(path, 'utf8')]
  } catch (error) {
    log.error('drains trust no authorities but those of Node.js: the bundle cannot be read', { path, error })
    return []
  }
}

const REASONS: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection closed',
  ETIMEDOUT: 'timed out',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  ENOTFOUND: 'host name not found',
  EAI_AGAIN: 'host name cannot be looked up now',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate is for another host name',
}

/** OpenSSL's words for what is wrong with a certificate, as Node.js has them in `code`. */
const CERTIFICATE =
  /^(ERR_TLS_CERT_|CERT_|CRL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERROR_IN_CERT_|INVALID_(CA|PURPOSE)|PATH_LENGTH_|HOSTNAME_)/

export function deliveryError(error: unknown): DeliveryError {
  if (error instanceof DeliveryError) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const words = code.replace(/^ERR_/, '').toLowerCase().replaceAll('_', ' ')
  const reason =
    REASONS[code] ??
    (words === ''
      ? messageOf(error)
          .replace(/[^\x20-\x7e]|"/g, ' ')
          .slice(0, 100)
      : words)
  return CERTIFICATE.test(code)
    ? new DeliveryError('L14', `bad certificate: ${reason}`)
    : new DeliveryError('L13', reason)
}
