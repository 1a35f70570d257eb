import { createHash } from 'node:crypto'
import { Problem } from '../acme/problem.ts'
import { renewalInfoOf, type Wish, wishOf } from '../acme/renewal-info.ts'
import type { Ask } from '../acme/transport.ts'
import type { Daemon } from '../daemon.ts'
import { limits } from '../limits.ts'
import { chainOf, progress, type Subject } from './acm-subject.ts'
import { type Details, describe } from './chain.ts'

/**
 * Asks the authority when it wishes the certificates that it gave to be renewed (RFC 9773), and moves their turns there: it knows of days on
 * which it has much to do, and of certificates that it must revoke. Where it says nothing a turn stays as it is. When it was asked last is
 * not kept over a restart.
 */
export interface Wishes {
  /** Asks about the one of these whose time has come. Resolves with the time of the next; null: there is none. */
  look(subjects: readonly Subject[], signal: AbortSignal): Promise<number | null>
}

type Parts = Pick<Daemon, 'config' | 'clock' | 'log' | 'db' | 'seal'>

export function createWishes(d: Parts, ask: Ask, directory: string): Wishes {
  const began = d.clock.now()
  /** By hostname: when it is asked about. */
  const times = new Map<string, number>()
  /** Before this nothing is asked: it has no answer, or cannot be reached. */
  let quiet = 0
  let place: { url: string | undefined; until: number } | undefined

  const timeOf = ({ hostname }: Subject): number =>
    Math.max(quiet, times.get(hostname) ?? began + Math.floor(share(hostname) * limits.acmeWish.first))

  const askAbout = async (subject: Subject, signal: AbortSignal): Promise<void> => {
    const now = d.clock.now()
    if (place === undefined || place.until <= now)
      place = { url: await renewalInfoOf(ask, directory, signal), until: now + limits.acmeWish.most }
    if (place.url === undefined) {
      quiet = place.until
      return
    }
    const chain = await chainOf(d, subject)
    const details = chain === undefined ? undefined : describe(chain)
    if (chain === undefined || details === undefined || now - details.starts_at < limits.acmeYoung) return
    const wish = await wishOf(ask, place.url, chain, signal)
    if (wish === undefined) return
    const { least, usual, most } = limits.acmeWish
    times.set(subject.hostname, now + Math.min(Math.max(wish.again ?? usual, least), most))
    const at = turnWithin(wish, subject.hostname, details)
    if (at === subject.progress?.next_at) return
    await progress(d, subject, { next_at: at })
    d.log.info('renewal is moved to when the authority wishes it', {
      ...{ hostname: subject.hostname, at: new Date(at).toISOString() },
    })
  }

  return {
    async look(subjects, signal) {
      const given = subjects.filter(
        ({ bound, progress }) =>
          bound === 'automatic' && progress?.state === 'issued' && progress.directory === directory,
      )
      const names = new Set(given.map(({ hostname }) => hostname))
      for (const name of times.keys()) if (!names.has(name)) times.delete(name)
      const turns = given.map((subject) => ({ subject, at: timeOf(subject) }))
      const first = turns.reduce<(typeof turns)[number] | undefined>(
        (first, one) => (first === undefined || one.at < first.at ? one : first),
        undefined,
      )
      const now = d.clock.now()
      if (first === undefined || first.at > now) return first?.at ?? null
      times.set(first.subject.hostname, now + limits.acmeWish.usual)
      try {
        await askAbout(first.subject, signal)
      } catch (error) {
        if (!(error instanceof Problem)) throw error
        quiet = now + limits.acmeWish.least
        d.log.warn('the authority does not say when to renew', { error: error.message })
      }
      return d.clock.now()
    },
  }
}

/** A time in the window, for each name always the same one, and not in the last sixth of the certificate's life. Pure. */
export function turnWithin(
  { start, end }: Pick<Wish, 'start' | 'end'>,
  hostname: string,
  { starts_at, expires_at }: Pick<Details, 'starts_at' | 'expires_at'>,
): number {
  const latest = expires_at - (expires_at - starts_at) / 6
  return Math.floor(Math.min(start + share(hostname) * (end - start), latest))
}

/** From 0 to 1, so that what was ordered together is not asked about together. */
const share = (hostname: string): number => createHash('sha256').update(hostname).digest().readUInt32BE(0) / 2 ** 32
