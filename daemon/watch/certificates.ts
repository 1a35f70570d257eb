import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Daemon } from '../daemon.ts'
import { type Details, describe } from '../route/chain.ts'

/** A certificate that is served, or can be. */
export interface Served {
  /** What people call it: the platform's own, or the first of its names. */
  name: string
  /** Id; null for the platform's own. */
  app: string | null
  /** Renewed by itself. */
  automatic: boolean
  expiresAt: number
  /** As far as its chain tells; the platform's own is from an authority of its own. */
  trust: 'trusted' | 'self-signed' | 'own authority' | 'chain incomplete'
}

/** Reads a chain once: what a certificate's id stands for never changes. */
export function createCertificates(): (d: Pick<Daemon, 'db' | 'config'>) => Promise<Served[]> {
  let known = new Map<string, Details>()
  return async ({ db, config }) => {
    const now = new Map<string, Details>()
    const served: Served[] = []
    for (const { id, app, automatic, chain } of await idsOf(db)) {
      const details = known.get(id) ?? (await read(chain))
      if (!details) continue
      now.set(id, details)
      const [name = details.subject] = details.cert_domains
      served.push({ name, app, automatic, expiresAt: details.expires_at, trust: trustOf(details) })
    }
    known = now
    return [...(await own(config.data)), ...served]
  }
}

interface Stored {
  id: string
  app: string | null
  automatic: boolean
  /** Undefined when it has been replaced meanwhile. */
  chain(): Promise<string | null | undefined>
}

async function read(chain: Stored['chain']): Promise<Details | undefined> {
  const pem = await chain()
  return pem ? describe(pem) : undefined
}

/** Of domains that somebody has certificates for, or that get them by themselves; of the platform's names and apps' own hosts. */
async function idsOf(db: Daemon['db']): Promise<Stored[]> {
  const endpoints = await db.selectFrom('sni_endpoints').select(['certificate_id as id', 'app_id', 'acm']).execute()
  const hosts = await db.selectFrom('acm_hosts').select(['certificate_id as id', 'app_id']).execute()
  const chainIn = async (table: 'sni_endpoints' | 'acm_hosts', id: string) => {
    const row = await db
      .selectFrom(table)
      .select('certificate_chain')
      .where('certificate_id', '=', id)
      .executeTakeFirst()
    return row?.certificate_chain
  }
  return [
    ...hosts.flatMap(({ id, app_id }) =>
      id === null ? [] : [{ id, app: app_id, automatic: true, chain: () => chainIn('acm_hosts', id) }],
    ),
    ...endpoints.map(({ id, app_id, acm }) => ({
      ...{ id, app: app_id, automatic: acm === 1 },
      chain: () => chainIn('sni_endpoints', id),
    })),
  ]
}

const trustOf = (details: Details): Served['trust'] =>
  details['ca_signed?'] ? 'trusted' : details['self_signed?'] ? 'self-signed' : 'chain incomplete'

/** The one that API and routers fall back to. */
async function own(data: string): Promise<Served[]> {
  const pem = await readFile(join(data, 'tls', 'cert.pem')).catch(() => undefined)
  if (!pem) return []
  const expiresAt = Date.parse(new X509Certificate(pem).validTo)
  return [{ name: "the platform's own", app: null, automatic: true, expiresAt, trust: 'own authority' }]
}
