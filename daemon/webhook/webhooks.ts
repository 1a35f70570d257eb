import { randomUUID } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { messageOf } from '../errors.ts'
import { figures } from '../figures.ts'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Dialer } from '../logs/drain/dial.ts'
import { type Db, onWrite } from '../store/database.ts'
import type { Seal } from '../store/seal.ts'
import { type Attempt, type Delivery, dueDeliveries, nextDelivery, settle } from './delivery.ts'
import { complete, type Event, pruneEvents, rawEvents } from './event.ts'
import { payloadOf, type Represent } from './payload.ts'
import { send } from './send.ts'
import { pruneWebhooks, receiverOf } from './webhook.ts'

/**
 * Carries events to webhooks. Everything that is to be done is in the tables, so a crash loses nothing: it looks there for events without
 * a payload and for deliveries whose time has come, four times a second as long as there is a webhook. Each webhook has one attempt at a
 * time, so a slow receiver holds up nobody but itself.
 */
export interface Webhooks {
  /** There is something to look at: a first webhook. */
  wake(): void
  /** Whether this host is known to be one that webhooks may not reach. */
  refuses(host: string): Promise<boolean>
  /** Attempts under way are given up; the next start makes them again. */
  stop(): Promise<void>
}

export interface Parts {
  db: Db
  seal: Seal
  clock: Clock
  log: Log
  dialer: Dialer
  represent: Represent
}

const HOUR = 3600 * 1000

export function createWebhooks(parts: Parts): Webhooks {
  const { db, clock, log } = parts
  const stopping = new AbortController()
  /** By webhook: its attempt. */
  const attempts = new Map<string, Promise<void>>()
  let alarm: { at: number; cancel: () => void } | undefined
  let looking: Promise<void> | undefined
  /** Somebody said that there is more than the look under way may have seen. */
  let woken = false
  /** There is a webhook. */
  let wanted = true
  let prunedAt = 0

  /** At the latest. */
  const lookIn = (ms: number): void => {
    const at = clock.now() + ms
    if (stopping.signal.aborted || (alarm && alarm.at <= at)) return
    alarm?.cancel()
    alarm = { at, cancel: clock.at(at, look) }
  }

  /** Events and deliveries are rows, which others write: many are one look. */
  onWrite(db, () => {
    if (!wanted) return
    if (looking) woken = true
    else lookIn(limits.webhookLook)
  })

  const look = (): void => {
    if (looking || stopping.signal.aborted) return
    alarm?.cancel()
    alarm = undefined
    woken = false
    looking = lookNow()
      .then((next) => {
        looking = undefined
        wanted = next !== null
        if (woken) lookIn(limits.webhookLook)
        if (next !== null) lookIn(next)
      })
      .catch((error) => {
        looking = undefined
        log.error('webhooks cannot be looked after', { error: messageOf(error) })
        lookIn(limits.webhookRetry.first)
      })
  }

  /** When to look again at the latest, ms from now; null when there is no webhook left. */
  const lookNow = async (): Promise<number | null> => {
    await prune()
    if (!(await db.selectFrom('webhooks').select('id').limit(1).executeTakeFirst())) return null
    for (const event of await rawEvents(db)) await complete(db, event, await payloadOf(parts, event))
    for (const delivery of await dueDeliveries(db, clock.now())) {
      if (attempts.has(delivery.webhook_id) || attempts.size >= limits.webhookAttemptsAtOnce) continue
      attempts.set(delivery.webhook_id, attempt(delivery))
    }
    const now = clock.now()
    return Math.min(limits.webhookRelook, ((await nextDelivery(db, now)) ?? Number.POSITIVE_INFINITY) - now)
  }

  const prune = async (): Promise<void> => {
    if (clock.now() - prunedAt < HOUR) return
    prunedAt = clock.now()
    await pruneEvents(db, prunedAt)
    await pruneWebhooks(db)
  }

  const attempt = async (delivery: Delivery): Promise<void> => {
    try {
      await attemptNow(parts, delivery, stopping.signal)
    } catch (error) {
      if (!stopping.signal.aborted) await recover(delivery, error)
    } finally {
      attempts.delete(delivery.webhook_id)
      if (looking) woken = true
      else lookIn(0)
    }
  }

  /** What went out but could not be written down, as on a full disk, will go out again: not at once. */
  const recover = async (delivery: Delivery, error: unknown): Promise<void> => {
    log.error('a webhook delivery broke', { delivery: delivery.id, error: messageOf(error) })
    await new Promise<void>((resolve) => {
      const drop = clock.at(clock.now() + limits.webhookRetry.first, resolve)
      stopping.signal.addEventListener('abort', () => {
        drop()
        resolve()
      })
    })
  }

  return {
    wake() {
      woken = true
      look()
    },
    refuses: parts.dialer.refuses,
    async stop() {
      stopping.abort(new Error('the daemon is stopping'))
      alarm?.cancel()
      await looking
      await Promise.all(attempts.values())
    },
  }
}

async function attemptNow(parts: Parts, delivery: Delivery, signal: AbortSignal): Promise<void> {
  const { db, clock, log, dialer } = parts
  const receiver = await receiverOf(parts, delivery.webhook_id)
  const event = await db.selectFrom('webhook_events').selectAll().where('id', '=', delivery.event_id).executeTakeFirst()
  if (!receiver || !event) return
  const id = randomUUID()
  const begun = clock.now()
  const { code, error } = await send(dialer, receiver, bodyOf(delivery, event, id), signal)
  const succeeded = code !== null && code >= 200 && code < 300
  const status: Attempt['status'] = succeeded ? 'succeeded' : 'failed'
  const attempt = { id, code, error_class: error, status, created_at: begun, updated_at: clock.now() }
  figures.webhooks.add({ result: status })
  await settle(db, delivery, { attempt, level: receiver.level, chance: Math.random() })
  const told = { webhook: delivery.webhook_id, delivery: delivery.id, app: delivery.app_id, code, error }
  if (succeeded) log.info('webhook delivered', told)
  else log.warn('a webhook was not delivered', told)
}

/** The event's payload and which attempt of which delivery this is. */
function bodyOf(delivery: Delivery, { id, include, payload }: Event, attempt: string): Buffer {
  const webhook_metadata = {
    attempt: { id: attempt },
    delivery: { id: delivery.id },
    event: { id, include },
    webhook: { id: delivery.webhook_id },
  }
  return Buffer.from(JSON.stringify({ ...JSON.parse(payload ?? '{}'), webhook_metadata }))
}
