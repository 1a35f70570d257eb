import { type Selectable, type SqlBool, sql } from 'kysely'
import type { Problem } from '../acme/problem.ts'
import { limits } from '../limits.ts'
import type { AcmState, Schema } from '../store/schema.ts'

/**
 * Automated Certificate Management: what becomes of each custom domain of an app that has it on, of the platform's own names, and of the
 * apps' own hosts. Pure.
 *
 *   (no row), pending --its turn--> verifying --the authority has seen the challenge--> verified --certificate--> issued
 *   verifying, verified --it could not be had--> failing --back-off--> verifying
 *   failing --the authority says no for the fifth time in a row--> failed --a day, certs:auto:refresh--> verifying
 *   issued --a third of its life is left, or it is gone--> verifying, while the old one is served
 *   issued --another authority is set--> pending, likewise
 *   verifying, verified --the authority is asked too much--> failing, which counts as no failure
 *   verifying, verified --the daemon is killed--> pending
 *
 * A domain that is bound to a certificate of the app's own is left alone, and so is a wildcard, which HTTP-01 cannot show to be ours.
 */
export interface Managed {
  app_id: string
  hostname: string
  created_at: number
  /** Whose certificate is served for it: one that somebody has added, one from here, or the platform's own. */
  bound: 'manual' | 'automatic' | 'platform'
  progress: Progress | null
}

export type Progress = Omit<Selectable<Schema['acm_domains']>, 'domain_id'>
type Outcome = Omit<Progress, 'updated_at' | 'directory'>

/** Of rows: what a start gives its turn again, because it was on its way, or is from another authority than this. */
export const cutOff = (directory: string) =>
  sql<SqlBool>`(state in ('verifying', 'verified') or (state = 'issued' and directory not in ('', ${directory})))`

/** When it is its turn; null: never, as things are. */
export function dueAt({ hostname, created_at, bound, progress }: Managed): number | null {
  if (bound === 'manual' || isWildcard(hostname)) return null
  if (progress === null) return created_at
  // It was taken away; it may be had again, but not in a circle.
  if (progress.state === 'issued' && bound === 'platform') return progress.updated_at + limits.acmAgain
  return progress.next_at
}

/**
 * Whose turn it is: of those that are due, one of the app that was served the longest ago, so that an app with many domains holds up no
 * other. Else when it will be somebody's; null: nobody's, as things are. `served`: by app, when it had its last turn. `roomAt`: not before.
 */
export function nextTurn<T extends Managed>(
  domains: readonly T[],
  now: number,
  served: ReadonlyMap<string, number>,
  roomAt: (domain: T) => number = () => 0,
): { domain: T } | { at: number } | null {
  let first: { domain: T; served: number; at: number } | undefined
  let soonest: number | null = null
  for (const domain of domains) {
    const due = dueAt(domain)
    if (due === null) continue
    const at = Math.max(due, roomAt(domain))
    soonest = Math.min(soonest ?? at, at)
    const one = { domain, served: served.get(domain.app_id) ?? 0, at }
    const sooner = !first || one.served < first.served || (one.served === first.served && at < first.at)
    if (at <= now && sooner) first = one
  }
  if (first) return first
  return soonest === null ? null : { at: soonest }
}

/** A new one is served from now on. `random`: where in the time over which renewals are spread, 0 to 1. */
export function issued(
  { starts_at, expires_at }: { starts_at: number; expires_at: number },
  now: number,
  random = Math.random(),
): Outcome {
  const third = (expires_at - starts_at) / 3
  const renewal = expires_at - third + random * Math.min(limits.acmeSpread, third / 2)
  return {
    state: 'issued',
    reason: null,
    failures: 0,
    next_at: Math.max(Math.floor(renewal), now + limits.acmAgain),
  }
}

/** `failures`: in a row, before this one. An authority that is away, or refuses us, says nothing against the domain. */
export function failed(failures: number, { kind, message, retryAfter = 0 }: Problem, now: number): Outcome {
  const count = failures + 1
  const last = limits.acmRetry.length
  const pause = limits.acmRetry[Math.min(count, last) - 1] ?? 0
  return {
    state: kind === 'name' && count >= last ? 'failed' : 'failing',
    reason: message,
    failures: count,
    next_at: now + Math.max(pause, Math.min(retryAfter, MOST_WISHED)),
  }
}

/** Refused for how much we ask, or how busy the authority is: that says nothing against the domain. Null for every other problem. */
export function limitedUntil({ kind, type, retryAfter }: Problem, now: number): number | null {
  if (type !== 'rateLimited' && (kind === 'name' || retryAfter === undefined)) return null
  const [least = 0] = limits.acmRetry
  return now + Math.min(Math.max(retryAfter ?? limits.acmeLimited, least), MOST_WISHED)
}

/** An authority may ask for patience, but not for ever. */
const MOST_WISHED = 7 * 24 * 3600 * 1000

/** Brings a domain's turn forward, because its owner has put right what was wrong. */
export const refreshed = ({ next_at, updated_at }: Progress, now: number): number =>
  Math.min(next_at, Math.max(now, updated_at + limits.acmRefresh))

/** In Heroku's words (https://devcenter.heroku.com/articles/automated-certificate-management#check-the-status-of-certificates). */
export function statusOf({ hostname, bound, progress }: Managed): { status: string; reason: string | null } {
  if (bound === 'manual') return { status: 'cert issued', reason: 'A certificate that was added by hand is served.' }
  if (isWildcard(hostname))
    return { status: 'failed', reason: 'A wildcard domain needs a certificate of your own: heroku certs:add.' }
  return { status: WORDS[progress?.state ?? 'pending'], reason: progress?.reason ?? null }
}

const WORDS: Record<AcmState, string> = {
  pending: 'pending',
  verifying: 'pending',
  verified: 'verified',
  issued: 'cert issued',
  failing: 'failing',
  failed: 'failed',
}

const isWildcard = (hostname: string): boolean => hostname.startsWith('*.')
