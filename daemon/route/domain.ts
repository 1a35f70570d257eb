import { randomUUID } from 'node:crypto'
import { domainToASCII } from 'node:url'
import type { Selectable } from 'kysely'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound } from '../errors.ts'
import { decide } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'

type App = Selectable<Schema['apps']>

export interface Domain {
  id: string
  hostname: string
  /** `heroku`: the app's own name below the platform's domain. */
  kind: 'heroku' | 'custom'
  /** What a CNAME record should point to. */
  cname: string | null
  status: 'none'
  created_at: number
  updated_at: number
}

/** The app's own name first, then its custom domains. */
export async function listDomains(d: Daemon, app: App): Promise<Domain[]> {
  const rows = await d.db.selectFrom('domains').selectAll().where('app_id', '=', app.id).orderBy('hostname').execute()
  const own: Domain = {
    id: app.id,
    hostname: `${app.name}.${d.config.domain}`,
    kind: 'heroku',
    cname: null,
    status: 'none',
    created_at: app.created_at,
    updated_at: app.updated_at,
  }
  return [own, ...rows.map((row): Domain => ({ ...row, kind: 'custom', cname: own.hostname, status: 'none' }))]
}

export async function findDomain(d: Daemon, app: App, hostnameOrId: string): Promise<Domain> {
  const wanted = hostnameOrId.toLowerCase()
  const domain = (await listDomains(d, app)).find(({ id, hostname }) => id === wanted || hostname === wanted)
  if (!domain) throw notFound('domain', 'domain')
  return domain
}

/** Has the routers send this host's requests to the app. Throws UserError for a bad, foreign or taken name. */
export async function addDomain(d: Daemon, app: App, name: string): Promise<Domain> {
  const hostname = parseHostname(name, d.config.domain)
  const now = d.clock.now()
  const row = { id: randomUUID(), app_id: app.id, hostname, created_at: now, updated_at: now }
  await decide(d.db, async (tx) => {
    const taken = await tx.selectFrom('domains').select('app_id').where('hostname', '=', hostname).executeTakeFirst()
    if (taken)
      throw invalid(
        taken.app_id === app.id
          ? `${hostname} is already a domain of this app.`
          : `${hostname} is currently in use by another app.`,
      )
    await tx.insertInto('domains').values(row).execute()
  })
  await d.routers.publish()
  return findDomain(d, app, row.id)
}

export async function removeDomain(d: Daemon, app: App, hostnameOrId: string): Promise<Domain> {
  const domain = await findDomain(d, app, hostnameOrId)
  if (domain.kind === 'heroku') throw invalid(`${domain.hostname} is the app's own name and cannot be removed.`)
  await d.db.deleteFrom('domains').where('id', '=', domain.id).execute()
  await d.routers.publish()
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
