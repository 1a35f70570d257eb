import { randomBytes } from 'node:crypto'
import type { Server } from 'node:tls'

/**
 * Keys of session tickets (RFC 5077), made here and rotated: whoever finds one reads no more than what was encrypted under it. All
 * processes that share a port have the same. A key is 48 bytes: a name, an HMAC key, an AES key of 16 each.
 */
export interface TicketKeys {
  current: Buffer
  /** Still accepted; whoever shows a ticket of it gets a new one. */
  previous: Buffer | null
  /** When the current one was made, ms since the epoch. */
  since: number
}

const KEY = 48
const HOUR = 3600 * 1000

/** A key makes tickets so long, and is accepted as long again: ticketLife is no longer. */
export const ROTATION = 24 * HOUR

/** How long a session may be resumed, seconds. */
export const ticketLife = ROTATION / 1000

export const freshKeys = (now: number): TicketKeys => ({ current: randomBytes(KEY), previous: null, since: now })

/** The same object when none is due. */
export function rotated(keys: TicketKeys, now: number): TicketKeys {
  const age = now - keys.since
  if (age < ROTATION) return keys
  return { ...freshKeys(now), previous: age < 2 * ROTATION ? keys.current : null }
}

/**
 * From the next handshake on; again after `setSecureContext`. OpenSSL's plain setter knows one key. Where Node.js has the callback that
 * knows more (undocumented, tested in Node.js's own suite), that one is used, else tickets of the previous key mean a whole handshake.
 */
export function installTicketKeys(server: Server, keys: TicketKeys): void {
  server.setTicketKeys(keys.current)
  const context = (server as Inside)._sharedCreds?.context
  if (typeof context?.enableTicketKeyCallback !== 'function') return
  const callback: TicketCallback = (name, iv, make) => answer(keys, name, iv, make)
  context.onticketkeycallback = callback
  context.enableTicketKeyCallback()
}

interface Inside extends Server {
  _sharedCreds?: { context?: { enableTicketKeyCallback?: () => void; onticketkeycallback?: TicketCallback } }
}

/** 0: not ours, 1: ours, 2: ours, and to be replaced; then HMAC key, AES key, name and initialisation vector, always all of them. */
type TicketAnswer = [0 | 1 | 2, Buffer, Buffer, Buffer, Buffer]
type TicketCallback = (name: Buffer, iv: Buffer, make: boolean) => TicketAnswer

function answer({ current, previous }: TicketKeys, name: Buffer, iv: Buffer, make: boolean): TicketAnswer {
  if (make) return [1, ...partsOf(current), randomBytes(16)]
  const [, , ours] = partsOf(current)
  if (ours.equals(name)) return [1, ...partsOf(current), iv]
  if (previous?.subarray(0, 16).equals(name)) return [2, ...partsOf(previous), iv]
  return [0, ...partsOf(current), iv]
}

const partsOf = (key: Buffer): [Buffer, Buffer, Buffer] => [key.subarray(16, 32), key.subarray(32), key.subarray(0, 16)]
