import { randomInt, randomUUID } from 'node:crypto'
import type { Selectable } from 'kysely'
import { type Actor, enact } from '../account/activity.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound } from '../errors.ts'
import { failpoint } from '../failpoint.ts'
import { limits } from '../limits.ts'
import type { DbOrTx, Tx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import { note } from '../webhook/event.ts'
import { type Pair, parsePair } from './chain.ts'
import { openPairs, sealPair } from './sealed-pair.ts'

type App = Selectable<Schema['apps']>

/** A certificate that an app has for its domains. The key is not in it: it is sealed, and only routers get it. */
export interface SniEndpoint extends Omit<Selectable<Schema['sni_endpoints']>, 'private_key'> {
  /** Ids of the domains that it is served for. */
  domains: string[]
}

/** By name; all of the app, or those with this name or id. */
export async function listSniEndpoints(db: DbOrTx, app: { id: string }, which?: string): Promise<SniEndpoint[]> {
  const all = db
    .selectFrom('sni_endpoints')
    .select(['id', 'app_id', 'name', 'certificate_id', 'certificate_chain', 'acm', 'created_at', 'updated_at'])
    .where('app_id', '=', app.id)
    .orderBy('name')
  const wanted = which === undefined ? all : all.where((or) => or.or([or('id', '=', which), or('name', '=', which)]))
  const rows = await wanted.execute()
  const bound = await db
    .selectFrom('domains')
    .select(['id', 'sni_endpoint_id'])
    .where('app_id', '=', app.id)
    .where('sni_endpoint_id', 'is not', null)
    .orderBy('hostname')
    .execute()
  const domainsOf = (endpoint: string) => bound.flatMap((one) => (one.sni_endpoint_id === endpoint ? [one.id] : []))
  return rows.map((row) => ({ ...row, domains: domainsOf(row.id) }))
}

/** By name or id. */
export async function findSniEndpoint(db: DbOrTx, app: { id: string }, nameOrId: string): Promise<SniEndpoint> {
  const [found] = await listSniEndpoints(db, app, nameOrId.toLowerCase())
  if (!found) throw notFound('SNI endpoint', 'sni_endpoint')
  return found
}

/** Keeps a certificate for the app's domains; none of them has it until it is bound (`bindDomain`). Throws UserError. */
export async function addSniEndpoint(d: Daemon, app: App, account: Actor, given: Pair): Promise<SniEndpoint> {
  const now = d.clock.now()
  const pair = parsePair(given.chain, given.key, now)
  const text = ({ name }: SniEndpoint) => `Add SNI endpoint ${name}`
  return enact(d, { app, by: account, text }, (tx) => insert(d, tx, { app: app.id, account, pair, acm: 0, now }))
}

interface Addition {
  app: string
  account: Actor | null
  pair: Pair
  acm: 0 | 1
  now: number
}

async function insert(d: Sealing, tx: Tx, { app, account, pair, acm, now }: Addition): Promise<SniEndpoint> {
  const there = await tx.selectFrom('sni_endpoints').select('name').where('app_id', '=', app).execute()
  const names = there.map(({ name }) => name)
  if (names.length >= limits.sniEndpointsPerApp)
    throw invalid(`An app may have ${limits.sniEndpointsPerApp} certificates. Remove one with certs:remove first.`)
  const row = { id: randomUUID(), app_id: app, name: freeName(names), acm, created_at: now, updated_at: now }
  const { private_key, ...certificate } = sealPair(d, pair)
  await tx
    .insertInto('sni_endpoints')
    .values({ ...row, ...certificate, private_key })
    .execute()
  const endpoint: SniEndpoint = { ...row, ...certificate, domains: [] }
  await note(tx, { app, account, include: 'api:sni-endpoint', action: 'create', subject: endpoint, now })
  return endpoint
}

/**
 * Replaces chain and key; the routers serve the new ones for all its domains from the next handshake on. One that came from an authority
 * is the app's own from now on, and not renewed any more. Throws UserError.
 */
export async function updateSniEndpoint(
  d: Daemon,
  app: App,
  account: Actor,
  { nameOrId, given }: { nameOrId: string; given: Pair },
): Promise<SniEndpoint> {
  const now = d.clock.now()
  const pair = parsePair(given.chain, given.key, now)
  const text = ({ name }: SniEndpoint) => `Update SNI endpoint ${name}`
  const endpoint = await enact(d, { app, by: account, text }, async (tx) => {
    const previous = await findSniEndpoint(tx, app, nameOrId)
    return replace(d, tx, previous, { app: app.id, account, pair, acm: 0, now })
  })
  await failpoint('certificate.replaced')
  await d.routers.publish(app.id)
  return endpoint
}

async function replace(
  d: Sealing,
  tx: Tx,
  previous: SniEndpoint,
  { app, account, pair, acm, now }: Addition,
): Promise<SniEndpoint> {
  const { private_key, ...change } = { ...sealPair(d, pair), acm, updated_at: now }
  await tx
    .updateTable('sni_endpoints')
    .set({ ...change, private_key })
    .where('id', '=', previous.id)
    .execute()
  const endpoint = { ...previous, ...change }
  const event = { app, account, include: 'api:sni-endpoint', action: 'update', now } as const
  await note(tx, { ...event, subject: endpoint, previous })
  return endpoint
}

/** Keeps a certificate that an authority gave: in place of the one that is there (by id), else as one more. Its id. Throws UserError. */
export async function keepAutomatic(
  d: Sealing,
  tx: Tx,
  given: { app: string; pair: Pair; instead: string | null; now: number },
): Promise<string> {
  const { app, instead } = given
  const addition: Addition = { ...given, account: null, acm: 1 }
  const [previous] = instead === null ? [] : await listSniEndpoints(tx, { id: app }, instead)
  return (await (previous?.acm === 1 ? replace(d, tx, previous, addition) : insert(d, tx, addition))).id
}

/** Forgets the certificates from an authority that no domain of the app has any more, or all of them. */
export async function forgetAutomatic(
  tx: Tx,
  app: { id: string },
  { which, now }: { which: 'unbound' | 'all'; now: number },
) {
  for (const endpoint of await listSniEndpoints(tx, app)) {
    if (endpoint.acm === 0 || (which === 'unbound' && endpoint.domains.length > 0)) continue
    await tx.deleteFrom('sni_endpoints').where('id', '=', endpoint.id).execute()
    const event = { app: app.id, account: null, include: 'api:sni-endpoint', action: 'destroy', now } as const
    await note(tx, { ...event, subject: endpoint })
  }
}

/** Its domains get the platform's own certificate from now on. */
export async function removeSniEndpoint(d: Daemon, app: App, account: Actor, nameOrId: string): Promise<SniEndpoint> {
  const now = d.clock.now()
  const text = ({ name }: SniEndpoint) => `Remove SNI endpoint ${name}`
  const endpoint = await enact(d, { app, by: account, text }, async (tx) => {
    const endpoint = await findSniEndpoint(tx, app, nameOrId)
    if (endpoint.acm === 1)
      throw invalid(
        `${endpoint.name} is managed automatically. Replace it with certs:update, or end that with certs:auto:disable.`,
      )
    await tx.deleteFrom('sni_endpoints').where('id', '=', endpoint.id).execute()
    await note(tx, { app: app.id, account, include: 'api:sni-endpoint', action: 'destroy', subject: endpoint, now })
    return endpoint
  })
  await d.routers.publish(app.id)
  d.acm.wake()
  return endpoint
}

/** Of these certificates those that are endpoints. */
export const readPairs = (
  d: Pick<Daemon, 'db' | 'seal' | 'log'>,
  certificates: readonly string[],
): Promise<Map<string, Pair>> =>
  openPairs(d, certificates, (some) =>
    d.db
      .selectFrom('sni_endpoints')
      .select(['certificate_id', 'certificate_chain', 'private_key'])
      .where('certificate_id', 'in', some)
      .execute(),
  )

type Sealing = Pick<Daemon, 'seal'>

/** Such as `tyrannosaurus-12345`: Heroku names certificates after dinosaurs. */
function freeName(taken: readonly string[]): string {
  const name = `${DINOSAURS[randomInt(DINOSAURS.length)]}-${String(randomInt(100_000)).padStart(5, '0')}`
  return taken.includes(name) ? freeName(taken) : name
}

const DINOSAURS =
  'allosaurus ankylosaurus baryonyx brachiosaurus deinonychus diplodocus edmontosaurus iguanodon kentrosaurus maiasaura megalosaurus oviraptor plateosaurus protoceratops spinosaurus stegosaurus styracosaurus triceratops troodon tyrannosaurus'.split(
    ' ',
  )
