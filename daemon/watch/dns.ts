import { Resolver } from 'node:dns/promises'
import { networkInterfaces } from 'node:os'
import type { Daemon } from '../daemon.ts'
import { limits } from '../limits.ts'
import { hostsOf } from '../names.ts'
import { type Finding, type Look, named } from './finding.ts'

export interface Names {
  /** Addresses that a name has; none when it has none, or nobody says. */
  resolve(name: string): Promise<string[]>
  /** Of this machine. */
  own(): string[]
}

/** Whether the platform's domain and those of the apps lead here. */
export const dnsLooks = (d: Daemon, names: Names = systemNames()): Look[] => [
  { check: 'DNS', look: () => dns(d, names) },
]

async function dns(d: Daemon, { resolve, own }: Names): Promise<Finding[]> {
  const { domain } = d.config
  const ours = new Set([...own(), ...d.routers.list().map(({ address }) => address)])
  const found: Finding[] = []
  if (domain === 'localhost' || domain.endsWith('.localhost'))
    found.push({ check: 'DNS', state: 'ok', text: `Apps are at APP.${domain}, on this machine only.` })
  else {
    // A name that no record was made for: only a wildcard answers it.
    const addresses = await resolve(`sluice-doctor.${domain}`)
    found.push(leads(`*.${domain}`, addresses, ours))
    for (const address of addresses) ours.add(address)
  }
  const platform = await Promise.all(
    hostsOf(d.config.names).map(async (name) => leads(name, await resolve(name), ours)),
  )
  return [...found, ...platform, ...(await custom(d, resolve, ours))]
}

/** A name of the platform's own. */
function leads(record: string, addresses: readonly string[], ours: ReadonlySet<string>): Finding {
  const check = 'DNS'
  if (addresses.length === 0)
    return {
      ...{ check, state: 'fail', text: `${record} leads nowhere.` },
      remedy: `Make a record for ${record} with the address of this machine (A or AAAA).`,
    }
  if (addresses.some((address) => ours.has(address))) return { check, state: 'ok', text: `${record} leads here.` }
  return {
    ...{
      check,
      state: 'warn',
      text: `${record} leads to ${named(addresses)}, which is no address of this machine or a router.`,
    },
    remedy: 'That is right behind a load balancer or NAT; else correct the record.',
  }
}

/** The newest. */
async function custom({ db }: Daemon, resolve: Names['resolve'], ours: ReadonlySet<string>): Promise<Finding[]> {
  const check = 'DNS'
  const rows = await db
    .selectFrom('domains')
    .select('hostname')
    .orderBy('created_at', 'desc')
    .limit(limits.doctorDomains)
    .execute()
  const astray: string[] = []
  const ask = async ({ hostname }: { hostname: string }) => {
    const addresses = await resolve(hostname.replace(/^\*/, 'sluice-doctor'))
    if (!addresses.some((address) => ours.has(address))) astray.push(hostname)
  }
  await Promise.all(rows.map(ask))
  if (rows.length === 0) return []
  if (astray.length === 0)
    return [
      {
        check,
        state: 'ok',
        text: `${rows.length} ${rows.length === 1 ? 'domain of apps leads' : 'domains of apps lead'} here.`,
      },
    ]
  const remedy = 'Their owners make a CNAME to what `heroku domains --app APP` shows, or remove them.'
  return [{ check, state: 'warn', text: `${named(astray.sort())} do not lead here.`, remedy }]
}

/** Asks name servers only: what the machine's own resolver does may hold up the threads that files and rows need. */
function systemNames(): Names {
  const resolver = new Resolver({ timeout: 1500, tries: 2 })
  const nothing = (): string[] => []
  return {
    resolve: async (name) =>
      (await Promise.all([resolver.resolve4(name).catch(nothing), resolver.resolve6(name).catch(nothing)])).flat(),
    own: () =>
      Object.values(networkInterfaces()).flatMap((all = []) =>
        all.flatMap(({ address, internal }) => (internal ? [] : [address])),
      ),
  }
}
