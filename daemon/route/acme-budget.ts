import type { Selectable } from 'kysely'
import { limits } from '../limits.ts'
import type { Schema } from '../store/schema.ts'

/** By what was asked of an authority lately: when it may be asked for a name again, without a refusal that would keep others waiting. Pure. */

export type Order = Selectable<Schema['acme_orders']>
export type Asking = Pick<Order, 'hostname' | 'kind'>

/** When it may be asked for, ms since the epoch, and why not before. */
export interface Room {
  at: number
  why: string
}

const HOUR = 60 * 60_000
const NOW: Room = { at: 0, why: '' }

/** `orders`: of the last week, of this authority. */
export function budgetOf(orders: readonly Order[], now: number): (asking: Asking) => Room {
  const refused = orders.filter(({ outcome, until }) => outcome === 'limited' && (until ?? 0) > now)
  const refusals = grouped(refused, ({ hostname }) => registered(hostname))
  const made = orders.filter(({ outcome }) => outcome === 'issued' || outcome === 'underway')
  const first = grouped(
    made.filter(({ kind }) => kind !== 'renewal'),
    ({ hostname }) => registered(hostname),
  )
  const same = grouped(made, ({ hostname }) => hostname)
  const failed = grouped(
    orders.filter(({ outcome }) => outcome === 'failed' || outcome === 'underway'),
    ({ hostname }) => hostname,
  )
  return ({ hostname, kind }) => {
    const domain = registered(hostname)
    const own = (refusals.get(domain) ?? []).map(({ until }) => until ?? 0)
    // When it has refused two domains, it may be us whom it refuses; or an app's users have used theirs up elsewhere. One asks soon who it is.
    const all = refusals.size > 1 ? refused : []
    const others = all.map(({ until, created_at }) => Math.min(until ?? 0, created_at + limits.acmeLimited))
    const rooms = [
      { at: Math.max(0, ...own, ...others), why: 'The authority has had enough of us for a while.' },
      room(same.get(hostname), [limits.acmeSame, limits.acmeWeek], 'This name has had its certificates for this week.'),
      room(failed.get(hostname), [limits.acmeFailures, HOUR], 'This name has failed too often for this hour.'),
    ]
    const news = first.get(domain) ?? []
    const why = `There were as many new certificates below ${domain} as there may be in a week.`
    if (kind !== 'renewal') rooms.push(room(news, [limits.acmeWeekly, limits.acmeWeek], why))
    const hosts = news.filter((one) => one.kind === 'host')
    if (kind === 'host') rooms.push(room(hosts, [limits.acmeWeeklyHosts, limits.acmeWeek], why))
    return rooms.reduce((latest, one) => (one.at > latest.at ? one : latest), NOW)
  }
}

/** At most so many in so long. */
function room(orders: readonly Order[] | undefined, [most, span]: [number, number], why: string): Room {
  const blocking = orders === undefined ? undefined : orders[orders.length - most]
  return blocking === undefined ? NOW : { at: blocking.created_at + span, why }
}

function grouped(orders: readonly Order[], key: (order: Order) => string): Map<string, Order[]> {
  const groups = new Map<string, Order[]>()
  for (const order of orders) {
    const group = groups.get(key(order))
    if (group) group.push(order)
    else groups.set(key(order), [order])
  }
  return groups
}

/**
 * The domain that somebody has registered: the last two labels, or three where countries register below a second one (`co.uk`). There is no
 * list of all public suffixes here; below those that are not known so a bound holds for too much, never for too little.
 */
export function registered(hostname: string): string {
  const labels = hostname.split('.')
  const [second = '', top = ''] = labels.slice(-2)
  return labels.slice(top.length === 2 && SECOND.has(second) ? -3 : -2).join('.')
}

const SECOND = new Set(['ac', 'co', 'com', 'edu', 'gob', 'gov', 'ne', 'net', 'nom', 'or', 'org'])
