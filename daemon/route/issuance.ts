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
import { decide } from '../store/database.ts'
import { failed, issued, nextTurn } from './acm.ts'
import { type AcmDomain, managedDomain, managedDomains, progressed, restartInterrupted } from './acm-domain.ts'
import { accountKey } from './acme-account.ts'
import { describe, type Pair, parsePair } from './chain.ts'
import { bindAutomatic } from './domain.ts'
import { forgetAutomatic, keepAutomatic } from './sni-endpoint.ts'

/**
 * Gets certificates for the domains of apps with Automated Certificate Management, one order after the other, and renews them. What is to
 * be done is in the rows (acm.ts), so that it may die at any moment: an order that was on its way is made anew, and its challenge, which
 * is in memory only, is answered no more.
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

  const publish = async (app: string, next: Challenge | undefined): Promise<void> => {
    challenge = next
    await d.routers.publish(app)
  }

  const order = async ({ id, app_id, hostname }: AcmDomain, signal: AbortSignal): Promise<Pair> => {
    if (!acme || !ask) throw new Error('no authority')
    const key = await accountKey(d, acme.directory)
    const authority = await Authority.open(ask, { ...acme, key }, signal)
    const { chain, key: privateKey } = await obtain(authority, hostname, {
      key,
      async answer(given) {
        await publish(app_id, { host: hostname, ...given })
        await d.routers.followed(signal)
      },
      verified: () => progressed(d.db, { id, now: d.clock.now() }, { state: 'verified', reason: null }),
    })
    return parsePair(chain, privateKey, d.clock.now())
  }

  /** In time, or with a Problem; what is broken off because the daemon stops rejects with that. */
  const orderInTime = async (domain: AcmDomain, stopping: AbortSignal): Promise<Pair> => {
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

  const attempt = async (domain: AcmDomain, stopping: AbortSignal): Promise<void> => {
    const { id, app_id: app, hostname, progress } = domain
    const tell = (text: string) => d.logs.write(app, { at: d.clock.now(), source: 'app', dyno: 'api', text })
    await progressed(d.db, { id, now: d.clock.now() }, { state: 'verifying', reason: null })
    try {
      const pair = await orderInTime(domain, stopping)
      if (!(await keep(d, domain, pair))) return
      d.log.info('certificate issued', { app, hostname })
      tell(`Certificate for ${hostname} issued`)
      await d.routers.publish(app)
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      const now = d.clock.now()
      await progressed(d.db, { id, now }, failed(progress?.failures ?? 0, error, now))
      d.log.warn('no certificate', { app, hostname, error: error.message })
      tell(`No certificate for ${hostname}: ${error.message}`)
    }
  }

  const pass = async (stopping: AbortSignal): Promise<number | null> => {
    const domains = await managedDomains(d.db)
    const now = d.clock.now()
    const turn = nextTurn(domains, now, served)
    if (turn === null) return null
    if (!('domain' in turn)) return turn.at
    const wait = orders.take('')
    if (wait > 0) return now + wait
    served.set(turn.domain.app_id, now)
    await attempt(turn.domain, stopping)
    return d.clock.now()
  }

  const runner = createRunner((_, stopping) => pass(stopping), d.clock, d.log)
  let started = false
  const wake = (): void => {
    if (started) runner.poke('')
  }
  return {
    async start() {
      if (!acme) return warnOfLost(d)
      await restartInterrupted(d.db, d.clock.now())
      started = true
      wake()
    },
    wake,
    challenges: () => (challenge ? [challenge] : []),
    stop: () => runner.stop(),
  }
}

/** Serves it from now on; false when the domain is not to have it any more. */
async function keep(d: Parts, { id }: AcmDomain, pair: Pair): Promise<boolean> {
  const now = d.clock.now()
  try {
    return await decide(d.db, async (tx) => {
      const domain = await managedDomain(tx, id)
      if (!domain || domain.bound === 'manual') return false
      const { app_id: app, endpoint: instead } = domain
      const endpoint = await keepAutomatic(d, tx, { app, pair, instead, now })
      await bindAutomatic(tx, id, { endpoint, now })
      await forgetAutomatic(tx, { id: app }, { which: 'unbound', now })
      await progressed(tx, { id, now }, issued(describe(pair.chain), now))
      return true
    })
  } catch (error) {
    throw error instanceof UserError ? new Problem('name', error.message) : error
  }
}

/** Somebody has taken the authority away from the settings; what was obtained is served, and will end. */
async function warnOfLost({ db, log }: Parts): Promise<void> {
  const domains = (await managedDomains(db)).length
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
