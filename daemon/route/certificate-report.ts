import type { Daemon } from '../daemon.ts'
import type { AcmState } from '../store/schema.ts'
import { managedHosts } from './acm-host.ts'
import { describe } from './chain.ts'
import { PLATFORM } from './platform.ts'

/** A name that the platform answers to by TLS with a certificate of its own. */
export interface Certified {
  hostname: string
  /** A name of the platform, an app's own host, or a custom domain. */
  kind: 'platform' | 'host' | 'domain'
  /** Null for one that somebody has added by hand. */
  state: AcmState | null
  /** Why there is none, or no new one. */
  reason: string | null
  /** As in `/C=US/O=Let's Encrypt/CN=E7`; null while the platform's own authority stands in. */
  issuer: string | null
  /** ms since the epoch */
  expires_at: number | null
}

/** For those who look after the platform: whose certificates there are, from whom, and until when. The platform's names come first. */
export async function certificateReport({ db, config }: Pick<Daemon, 'db' | 'config'>): Promise<Certified[]> {
  const chains = new Map(
    (await db.selectFrom('acm_hosts').select(['hostname', 'certificate_chain']).execute()).map((row) => [
      row.hostname,
      row.certificate_chain,
    ]),
  )
  const hosts = (await managedHosts({ db, config })).map(
    ({ app_id, hostname, progress }): Certified => ({
      ...{ hostname, kind: app_id === PLATFORM ? 'platform' : 'host' },
      ...{ state: progress?.state ?? 'pending', reason: progress?.reason ?? null },
      ...partOf(chains.get(hostname) ?? null),
    }),
  )
  const domains = await db
    .selectFrom('domains')
    .leftJoin('sni_endpoints', 'sni_endpoints.id', 'domains.sni_endpoint_id')
    .leftJoin('acm_domains', 'acm_domains.domain_id', 'domains.id')
    .select(['domains.hostname', 'sni_endpoints.certificate_chain', 'acm_domains.state', 'acm_domains.reason'])
    .where((where) => where.or([where('sni_endpoints.id', 'is not', null), where('acm_domains.state', 'is not', null)]))
    .orderBy('domains.hostname')
    .execute()
  return [
    ...hosts,
    ...domains.map(
      ({ certificate_chain, ...row }): Certified => ({ ...row, kind: 'domain', ...partOf(certificate_chain) }),
    ),
  ]
}

function partOf(chain: string | null): Pick<Certified, 'issuer' | 'expires_at'> {
  if (chain === null) return { issuer: null, expires_at: null }
  const { issuer, expires_at } = describe(chain)
  return { issuer, expires_at }
}
