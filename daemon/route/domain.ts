import { randomUUID } from 'node:crypto'
import { domainToASCII } from 'node:url'
import type { Selectable } from 'kysely'
import { type Actor, enact } from '../account/activity.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound } from '../errors.ts'
import { failpoint } from '../failpoint.ts'
import { limits } from '../limits.ts'
import { hostsOf } from '../names.ts'
import type { DbOrTx, Tx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import { note } from '../webhook/event.ts'
import { statusOf } from './acm.ts'
import { managedOf } from './acm-domain.ts'
import { findSniEndpoint, forgetAutomatic } from './sni-endpoint.ts'

type App = Selectable<Schema['apps']>

export interface Domain {
  id: string
  hostname: string
  /** `heroku`: the app's own name below the platform's domain. */
  kind: 'heroku' | 'custom'
  /** What a CNAME record should point to. */
  cname: string | null
  status: 'none'
  /** Whose certificate is served for it; null for the platform's own. */
  sni_endpoint: { id: string; name: string } | null
  /** How far its automatic certificate is; null without Automated Certificate Management. */
  acm: { status: string; reason: string | null } | null
  created_at: number
  updated_at: number
}

type Place = Pick<Daemon, 'config'> & { db: DbOrTx }

/** The app's own name first, then its custom domains. */
export async function listDomains({ db, config }: Place, app: App): Promise<Domain[]> {
  const own: Domain = {
    id: app.id,
    hostname: `${app.name}.${config.domain}`,
    kind: 'heroku',
    cname: null,
    status: 'none',
    sni_endpoint: null,
    acm: null,
    created_at: app.created_at,
    updated_at: app.updated_at,
  }
  // First, so that one that is told as issued is told with its certificate.
  const managed = app.acm === 1 ? await managedOf(db, app) : undefined
  const rows = await db
    .selectFrom('domains')
    .leftJoin('sni_endpoints', 'sni_endpoints.id', 'domains.sni_endpoint_id')
    .selectAll('domains')
    .select('sni_endpoints.name as endpoint')
    .where('domains.app_id', '=', app.id)
    .orderBy('hostname')
    .execute()
  const custom = rows.map(({ endpoint, sni_endpoint_id, ...row }): Domain => {
    const sni_endpoint = endpoint === null || sni_endpoint_id === null ? null : { id: sni_endpoint_id, name: endpoint }
    const one = managed?.get(row.id)
    const updated_at = Math.max(row.updated_at, one?.progress?.updated_at ?? 0)
    const acm = one ? statusOf(one) : null
    return { ...row, updated_at, kind: 'custom', cname: own.hostname, status: 'none', sni_endpoint, acm }
  })
  return [own, ...custom]
}

export async function findDomain(place: Place, app: App, hostnameOrId: string): Promise<Domain> {
  const wanted = hostnameOrId.toLowerCase()
  const domain = (await listDomains(place, app)).find(({ id, hostname }) => id === wanted || hostname === wanted)
  if (!domain) throw notFound('domain', 'domain')
  return domain
}

/** A domain as a client asks for it. `endpoint`: name or id of the SNI endpoint to bind it to. */
export interface Wanted {
  hostname: string
  endpoint: string | null
}

/** Has the routers send this host's requests to the app. Throws UserError for a bad, foreign or taken name, or an unknown endpoint. */
export async function addDomain(d: Daemon, app: App, account: Actor, wanted: Wanted): Promise<Domain> {
  const hostname = parseHostname(wanted.hostname, d.config.domain)
  if (hostsOf(d.config.names).includes(hostname)) throw invalid(`${hostname} is a name of the platform itself.`)
  const now = d.clock.now()
  const domain = await enact(d, { app, by: account, text: `Add domain ${hostname}` }, async (tx) => {
    await requireFree(tx, app, hostname)
    const sni_endpoint_id = await endpointId(tx, app, wanted.endpoint)
    const row = { id: randomUUID(), app_id: app.id, hostname, sni_endpoint_id, created_at: now, updated_at: now }
    await tx.insertInto('domains').values(row).execute()
    const domain = await findDomain({ ...d, db: tx }, app, row.id)
    await note(tx, { app: app.id, account, include: 'api:domain', action: 'create', subject: domain, now })
    return domain
  })
  await failpoint('domain.added')
  await d.routers.publish(app.id)
  d.acm.wake()
  return domain
}

/** One from an authority is for its own domain, with which it goes. */
async function endpointId(tx: Tx, app: App, nameOrId: string | null): Promise<string | null> {
  if (nameOrId === null) return null
  const { id, name, acm } = await findSniEndpoint(tx, app, nameOrId)
  if (acm === 1)
    throw invalid(`${name} is managed automatically, for one domain. This domain gets one of its own when it has none.`)
  return id
}

async function requireFree(tx: Tx, app: App, hostname: string): Promise<void> {
  const taken = await tx.selectFrom('domains').select('app_id').where('hostname', '=', hostname).executeTakeFirst()
  if (taken)
    throw invalid(
      taken.app_id === app.id
        ? `${hostname} is already a domain of this app.`
        : `${hostname} is currently in use by another app.`,
    )
  const other = await overlapping(tx, app, hostname)
  if (other !== undefined)
    throw invalid(`${hostname} is currently in use by another app: ${other} belongs to somebody else.`)
  const { count } = await tx
    .selectFrom('domains')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('app_id', '=', app.id)
    .executeTakeFirstOrThrow()
  if (count >= limits.domainsPerApp)
    throw invalid(`An app may have ${limits.domainsPerApp} custom domains. Remove one that is no longer needed first.`)
}

/**
 * A wildcard that this name is below, or a name below this wildcard, of an app with another owner: as on Heroku, only one owner has the
 * names of a wildcard (https://devcenter.heroku.com/articles/custom-domains#add-a-wildcard-domain).
 */
async function overlapping(tx: Tx, app: App, hostname: string): Promise<string | undefined> {
  const labels = hostname.split('.')
  const above = labels.slice(1).map((_, index) => `*.${labels.slice(index + 1).join('.')}`)
  const foreign = tx
    .selectFrom('domains')
    .innerJoin('apps', 'apps.id', 'domains.app_id')
    .select('domains.hostname')
    .where('apps.owner_id', '!=', app.owner_id)
  const found = await (hostname.startsWith('*.')
    ? foreign.where((where) =>
        where.or([where('domains.hostname', 'in', above), where('domains.hostname', 'like', `%${hostname.slice(1)}`)]),
      )
    : foreign.where('domains.hostname', 'in', above)
  )
    .limit(1)
    .executeTakeFirst()
  return found?.hostname
}

/** Has the routers serve the certificate of this endpoint (by name or id) for the domain; null for the platform's own. */
export async function bindDomain(d: Daemon, app: App, account: Actor, { hostname, endpoint }: Wanted): Promise<Domain> {
  const now = d.clock.now()
  const text = ({ hostname, sni_endpoint }: Domain) =>
    `Update domain ${hostname} to use ${sni_endpoint?.name ?? 'no'} certificate`
  const domain = await enact(d, { app, by: account, text }, async (tx) => {
    const place = { ...d, db: tx }
    const previous = await findDomain(place, app, hostname)
    if (previous.kind === 'heroku')
      throw invalid(`${previous.hostname} is the app's own name: the platform's own certificate is served for it.`)
    const sni_endpoint_id = await endpointId(tx, app, endpoint)
    await tx.updateTable('domains').set({ sni_endpoint_id, updated_at: now }).where('id', '=', previous.id).execute()
    await forgetAutomatic(tx, app, { which: 'unbound', now })
    const domain = await findDomain(place, app, previous.id)
    await note(tx, { app: app.id, account, include: 'api:domain', action: 'update', subject: domain, previous, now })
    return domain
  })
  await d.routers.publish(app.id)
  d.acm.wake()
  return domain
}

/** Has the routers serve a certificate that an authority gave for this domain (by id), as part of the caller's decision. */
export const bindAutomatic = (
  tx: Tx,
  id: string,
  { endpoint, now }: { endpoint: string; now: number },
): Promise<unknown> =>
  tx.updateTable('domains').set({ sni_endpoint_id: endpoint, updated_at: now }).where('id', '=', id).execute()

export async function removeDomain(d: Daemon, app: App, account: Actor, hostnameOrId: string): Promise<Domain> {
  const now = d.clock.now()
  const text = ({ hostname }: Domain) => `Remove domain ${hostname}`
  const domain = await enact(d, { app, by: account, text }, async (tx) => {
    const domain = await findDomain({ ...d, db: tx }, app, hostnameOrId)
    if (domain.kind === 'heroku') throw invalid(`${domain.hostname} is the app's own name and cannot be removed.`)
    await tx.deleteFrom('domains').where('id', '=', domain.id).execute()
    await forgetAutomatic(tx, app, { which: 'unbound', now })
    await note(tx, { app: app.id, account, include: 'api:domain', action: 'destroy', subject: domain, now })
    return domain
  })
  await failpoint('domain.removed')
  await d.routers.publish(app.id)
  return domain
}

const LABEL = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/

/**
 * A host name in lower case and ASCII (RFC 1123; `*.` in front matches all names below). Names under the platform's own domain are
 * refused: they belong to apps by name.
 */
export function parseHostname(name: string, platform: string): string {
  const refuse = (why: string) => invalid(`"${name.slice(0, 300)}" is not a valid domain name: ${why}.`)
  const wildcard = name.startsWith('*.')
  const typed = (wildcard ? name.slice(2) : name).trim().replace(/\.$/, '')
  const ascii = /^[\x21-\x7e]*$/.test(typed) ? typed.toLowerCase() : domainToASCII(typed)
  const labels = ascii.split('.')
  if (ascii.length === 0 || ascii.length > 253) throw refuse('it must have 1 to 253 characters')
  if (labels.length < 2) throw refuse('it must have at least two parts, as in example.com')
  for (const label of labels)
    if (!LABEL.test(label)) throw refuse(`"${label.slice(0, 80)}" must be 1 to 63 letters, digits or inner hyphens`)
  if (/^\d+$/.test(labels.at(-1) ?? '')) throw refuse('its last part must not be a number')
  const hostname = wildcard ? `*.${ascii}` : ascii
  if (ascii === platform || ascii.endsWith(`.${platform}`))
    throw invalid(`${hostname} is under the platform's own domain ${platform}, where every app already has its name.`)
  return hostname
}
