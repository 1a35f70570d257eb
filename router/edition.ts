import type { Commit, Order } from './orders.ts'
import {
  type AppRoute,
  type Certificate,
  type Certificates,
  namedBy,
  type Table,
  type TableChange,
} from './protocol.ts'

/**
 * A table with the certificates that it names, as the master holds it. What changed from one to the next is what workers get. A route that
 * did not change stays the same object, so that what changed among 10,000 is found without looking into them. Pure.
 */
export interface Edition {
  table: Table
  certificates: Certificates
  /** By id. */
  apps: ReadonlyMap<string, AppRoute>
}

/** Throws a TypeError when the table cannot be in force; apps that are in `before` claim nothing anew. */
export function editionOf(table: Table, certificates: Certificates, before?: Edition): Edition {
  const apps = new Map<string, AppRoute>()
  const fresh: AppRoute[] = []
  const others: AppRoute[] = []
  for (const app of table.apps) {
    apps.set(app.id, app)
    if (before?.apps.get(app.id) === app) others.push(app)
    else fresh.push(app)
  }
  checkIds(table.apps, apps.size)
  checkClaims(fresh, others)
  return { table, certificates: namedBy(table, certificates), apps }
}

/** The table that comes of these, one after the other. */
export function tableAfter(table: Table, changes: readonly TableChange[]): Table {
  const apps = new Map(table.apps.map((app) => [app.id, app]))
  for (const change of changes) {
    for (const id of change.gone) apps.delete(id)
    for (const app of change.apps) apps.set(app.id, app)
  }
  const { version, challenges } = changes.at(-1) ?? table
  return { version, apps: [...apps.values()], challenges }
}

/** What leads from one to the other. */
export function changeBetween(before: Edition, { table, apps }: Edition): TableChange {
  return {
    base: before.table.version,
    version: table.version,
    apps: table.apps.filter((app) => before.apps.get(app.id) !== app),
    gone: [...before.apps.keys()].filter((id) => !apps.has(id)),
    challenges: table.challenges,
  }
}

/** A table that was told whole, with the routes of the one before where they say the same. */
export function adopting(table: Table, before: Table): Table {
  const known = new Map(before.apps.map((app) => [app.id, app]))
  const apps = table.apps.map((app) => {
    const old = known.get(app.id)
    return old !== undefined && same(old, app) ? old : app
  })
  return { ...table, apps }
}

/** Of values that JSON has: faster than to compare their texts. */
function same(one: unknown, other: unknown): boolean {
  if (one === other) return true
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false
  const [ours, theirs] = [one, other] as [Record<string, unknown>, Record<string, unknown>]
  for (const name in ours) if (!same(ours[name], theirs[name])) return false
  for (const name in theirs) if (!(name in ours)) return false
  return Array.isArray(one) === Array.isArray(other)
}

function checkIds(apps: readonly AppRoute[], different: number): void {
  if (apps.length === different) return
  const seen = new Set<string>()
  for (const { id } of apps) {
    if (seen.has(id)) throw new TypeError(`app ${id} is twice in the table`)
    seen.add(id)
  }
}

/** Guessing would show one app's users another app. `others` are known to claim different things. */
export function checkClaims(fresh: readonly AppRoute[], others: readonly AppRoute[] = []): void {
  const hosts = new Map<string, AppRoute>()
  const backends = new Set<string>()
  const claim = (app: AppRoute, host: string) => {
    if ((hosts.get(host) ?? app) !== app) throw new TypeError(`two apps claim the host ${host}`)
    hosts.set(host, app)
  }
  for (const app of fresh) {
    for (const host of app.hosts) claim(app, host)
    for (const bound of app.certificates) for (const host of bound.hosts) claim(app, host)
    for (const { id } of app.backends) {
      if (backends.has(id)) throw new TypeError(`backend ${id} is twice in the table`)
      backends.add(id)
    }
  }
  for (const app of others) {
    for (const host of app.hosts) if (hosts.has(host)) claim(app, host)
    for (const bound of app.certificates) for (const host of bound.hosts) if (hosts.has(host)) claim(app, host)
    for (const { id } of app.backends) if (backends.has(id)) throw new TypeError(`backend ${id} is twice in the table`)
  }
}

export const nothing: Edition = editionOf({ version: 0, apps: [], challenges: [] }, new Map())

/** Apps, or certificates, in one message: what a worker reads of it while requests wait must be little. */
const PIECE = 200

/** What leads from one edition to the other, without `before` from any. */
export function ordersFor(serial: number, after: Edition, before?: Edition): Order[] {
  const { table, certificates } = after
  const { apps, gone } = before === undefined ? { apps: table.apps, gone: [] } : changeBetween(before, after)
  const fresh = [...certificates.values()].filter(({ id }) => before?.certificates.has(id) !== true)
  const commit: Commit = {
    kind: 'commit',
    serial,
    version: table.version,
    whole: before === undefined,
    gone,
    forgotten: [...(before?.certificates.keys() ?? [])].filter((id) => !certificates.has(id)),
    challenges: table.challenges,
  }
  return [
    ...pieces(fresh).map((certificates): Order => ({ kind: 'certificates', certificates })),
    ...pieces(apps).map((apps): Order => ({ kind: 'apps', text: JSON.stringify(apps) })),
    commit,
  ]
}

function pieces<T extends AppRoute | Certificate>(all: readonly T[]): T[][] {
  const found: T[][] = []
  for (let at = 0; at < all.length; at += PIECE) found.push(all.slice(at, at + PIECE))
  return found
}
