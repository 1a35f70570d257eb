import { readFileSync } from 'node:fs'
import type { Challenge } from '../../router/protocol.ts'
import { createBuckets } from '../account/bucket.ts'
import { Authority } from '../acme/authority.ts'
import { obtain } from '../acme/obtain.ts'
import { Problem } from '../acme/problem.ts'
import { createAsk } from '../acme/transport.ts'
import type { Daemon } from '../daemon.ts'
import { messageOf, UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { createRunner } from '../runner.ts'
import { dueAt, failed, limitedUntil, nextTurn } from './acm.ts'
import { askingFor, chainOf, keep, progress, restartSubjects, type Subject, subjectsOf } from './acm-subject.ts'
import { accountKey } from './acme-account.ts'
import { budgetOf, type Room } from './acme-budget.ts'
import { beginOrder, endOrder, ordersOf } from './acme-order.ts'
import { type Pair, parsePair } from './chain.ts'
import { PLATFORM } from './platform.ts'
import { createWishes } from './wish.ts'

/**
 * Gets certificates for the domains of apps with Automated Certificate Management, for the platform's names and for apps' own hosts, one
 * order after the other, and renews them. What is to be done is in the rows (acm.ts), so that it may die at any moment: an order that was on
 * its way is made anew, and its challenge, which is in memory only, is answered no more. What the authority was asked for is in rows as well,
 * so that its limits are kept over restarts (acme-budget.ts).
 */
export interface Issuance {
  start(): Promise<void>
  /** Rows have changed. */
  wake(): void
  challenges(): Challenge[]
  /** Breaks off what is on its way, and waits for it. */
  stop(): Promise<void>
}

type Parts = Pick<Daemon, 'config' | 'clock' | 'log' | 'db' | 'seal' | 'routers' | 'logs'>

export function createIssuance(d: Parts): Issuance {
  const { acme } = d.config
  const orders = createBuckets(d.clock, limits.acmeOrders)
  /** By app, since the start: when it had its last turn. */
  const served = new Map<string, number>()
  let challenge: Challenge | undefined
  const ask = acme && createAsk(authorities(d))
  const wishes = acme && ask && createWishes(d, ask, acme.directory)

  const publish = async (app: string, next: Challenge | undefined): Promise<void> => {
    challenge = next
    await d.routers.publish(app)
  }

  const order = async (subject: Subject, signal: AbortSignal): Promise<Pair> => {
    const { app_id, hostname } = subject
    if (!acme || !ask) throw new Error('no authority')
    const key = await accountKey(d, acme.directory)
    const authority = await Authority.open(ask, { ...acme, key }, signal)
    const { chain, key: privateKey } = await obtain(authority, hostname, {
      key,
      replaces: subject.progress?.directory === acme.directory ? await chainOf(d, subject) : undefined,
      async answer(given) {
        await publish(app_id, { host: hostname, ...given })
        await d.routers.followed(signal)
      },
      verified: () => progress(d, subject, { state: 'verified', reason: null }),
    })
    return parsePair(chain, privateKey, d.clock.now())
  }

  /** In time, or with a Problem; what is broken off because the daemon stops rejects with that. */
  const orderInTime = async (domain: Subject, stopping: AbortSignal): Promise<Pair> => {
    const signal = AbortSignal.any([stopping, AbortSignal.timeout(limits.acmeOrder)])
    try {
      return await order(domain, signal)
    } catch (error) {
      if (stopping.aborted) throw error
      throw problemOf(error, signal.aborted)
    } finally {
      if (challenge) await publish(domain.app_id, undefined)
    }
  }

  const attempt = async (subject: Subject, directory: string, stopping: AbortSignal): Promise<void> => {
    const { app_id: app, hostname } = subject
    const id = await beginOrder(d.db, directory, askingFor(subject, directory), d.clock.now())
    await progress(d, subject, { state: 'verifying', reason: null })
    try {
      const pair = await orderInTime(subject, stopping)
      await endOrder(d.db, id, { outcome: 'issued' })
      if (!(await keep(d, subject, { pair, directory }))) return
      d.log.info('certificate issued', { app, hostname })
      tell(app, `Certificate for ${hostname} issued`)
      await d.routers.publish(app)
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      await refused(subject, id, error)
    }
  }

  const refused = async (subject: Subject, order: number, problem: Problem): Promise<void> => {
    const { app_id: app, hostname, progress: before } = subject
    const now = d.clock.now()
    const until = limitedUntil(problem, now)
    await endOrder(d.db, order, { outcome: until === null ? 'failed' : 'limited', until })
    const limited = { state: 'failing', reason: problem.message, next_at: until ?? 0 } as const
    await progress(d, subject, until === null ? failed(before?.failures ?? 0, problem, now) : limited)
    d.log.warn('no certificate', { app, hostname, error: problem.message })
    tell(app, `No certificate for ${hostname}: ${problem.message}`)
  }

  const tell = (app: string, text: string): void => {
    if (app !== PLATFORM) d.logs.write(app, { at: d.clock.now(), source: 'app', dyno: 'api', text })
  }

  const pass = async (directory: string, stopping: AbortSignal): Promise<number | null> => {
    const subjects = await subjectsOf(d)
    const now = d.clock.now()
    const budget = budgetOf(await ordersOf(d.db, directory, now), now)
    const rooms = new Map(subjects.map((subject) => [subject, budget(askingFor(subject, directory))]))
    await sayWhy(rooms, now)
    const turn = nextTurn(subjects, now, served, (subject) => rooms.get(subject)?.at ?? 0)
    if (turn === null || !('domain' in turn)) {
      const times = [turn?.at, await wishes?.look(subjects, stopping)].filter((at) => at != null)
      return times.length === 0 ? null : Math.min(...times)
    }
    const wait = orders.take('')
    if (wait > 0) return now + wait
    served.set(turn.domain.app_id, now)
    await attempt(turn.domain, directory, stopping)
    return d.clock.now()
  }

  /** Of those that wait for their first and for nothing but the authority's limits. */
  const sayWhy = async (rooms: ReadonlyMap<Subject, Room>, now: number): Promise<void> => {
    for (const [subject, { at, why }] of rooms) {
      const { state = 'pending', reason = null } = subject.progress ?? {}
      const waits = state === 'pending' && at > now && (dueAt(subject) ?? at) <= now
      if (waits && reason !== why) await progress(d, subject, { reason: why })
    }
  }

  const runner = createRunner(async (_, stopping) => (acme ? pass(acme.directory, stopping) : null), d.clock, d.log)
  let started = false
  const wake = (): void => {
    if (started) runner.poke('')
  }
  return {
    async start() {
      if (!acme) return warnOfLost(d)
      await restartSubjects(d, acme.directory)
      started = true
      wake()
    },
    wake,
    challenges: () => (challenge ? [challenge] : []),
    stop: () => runner.stop(),
  }
}

/** Somebody has taken the authority away from the settings; what was obtained is served, and will end. */
async function warnOfLost({ db, log }: Parts): Promise<void> {
  const automatic = await db.selectFrom('sni_endpoints').select('id').where('acm', '=', 1).execute()
  const hosts = await db.selectFrom('acm_hosts').select('hostname').where('certificate_id', 'is not', null).execute()
  const domains = automatic.length + hosts.length
  if (domains > 0) log.warn('certificates are not renewed: SLUICE_ACME_DIRECTORY is not set', { domains })
}

function problemOf(error: unknown, late: boolean): Error {
  if (late) return new Problem('authority', `There was no certificate within ${limits.acmeOrder / 60_000} minutes.`)
  // The chain that it gave cannot be served.
  if (error instanceof UserError) return new Problem('authority', error.message)
  return error instanceof Error ? error : new Error(messageOf(error))
}

function authorities({ config, log }: Parts): string[] {
  try {
    return config.caBundle === undefined ? [] : [readFileSync(config.caBundle, 'utf8')]
  } catch (error) {
    log.error('the ACME authority is trusted by those of Node.js only: the bundle cannot be read', { error })
    return []
  }
}
