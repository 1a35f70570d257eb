import { createHash } from 'node:crypto'
import type { AppRoute } from '../../router/protocol.ts'
import type { Clock } from '../clock.ts'
import { DAY, ensureCertificates, type Place } from './certificate.ts'
import type { Pair } from './chain.ts'
import { openIssuer } from './issuer.ts'

/**
 * Certificates for `APP.<domain>` with that very name, for a domain of a single label such as `localhost`: neither browsers nor OpenSSL
 * take a wildcard directly below a top-level name. Nothing of them is kept here: an id says host, issuer and period, and whenever a
 * router lacks it, it is issued.
 */
export interface HostCertificates {
  /** The routes with the apps' own hosts bound to their certificates. */
  bind(routes: AppRoute[]): AppRoute[]
  /** Of the ids those that are of this kind. */
  pairs(ids: readonly string[]): Promise<Map<string, Pair>>
}

/** A certificate is good for 397 days from when it is asked for; another one is named after these. */
const PERIOD = 180 * DAY

const none: HostCertificates = { bind: (routes) => routes, pairs: async () => new Map() }

export async function createHostCertificates(config: Place, clock: Clock): Promise<HostCertificates> {
  const { data, domain } = config
  if (domain.includes('.')) return none
  const issuer = await openIssuer(data, await ensureCertificates(config, clock.now()))
  const bound = (route: AppRoute): AppRoute => {
    const host = `${route.name}.${domain}`
    const id = `${PREFIX}${host}:${issuer.generation}:${periodOf(host, clock.now())}`
    return { ...route, certificates: [{ id, hosts: [host] }, ...route.certificates] }
  }
  return {
    bind: (routes) => routes.map(bound),
    async pairs(ids) {
      const pairs = new Map<string, Pair>()
      for (const id of ids) {
        const [, host] = id.startsWith(PREFIX) ? id.split(':') : []
        if (host === undefined) continue
        pairs.set(id, await issuer.issue(host, clock.now()))
      }
      return pairs
    },
  }
}

/** Other certificates have random ids. */
const PREFIX = 'host:'

/** Hosts begin theirs on different days, so that a thousand of them are not renewed at once. */
function periodOf(host: string, now: number): number {
  const offset = createHash('sha256').update(host).digest().readUInt32BE(0) * 1000
  return Math.floor((now + (offset % PERIOD)) / PERIOD)
}
