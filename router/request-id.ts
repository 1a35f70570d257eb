import { randomFillSync } from 'node:crypto'

const MANY = 1024
/** Random bytes for many ids at once, and the same in hexadecimal digits. */
const pool = Buffer.alloc(16 * MANY)
let digits = ''
let used = 0

/** A random UUID, version 4 (RFC 9562 5.4). */
export function newRequestId(): string {
  if (used === digits.length) refill()
  const at = used
  used += 32
  return `${digits.slice(at, at + 8)}-${digits.slice(at + 8, at + 12)}-${digits.slice(at + 12, at + 16)}-${digits.slice(at + 16, at + 20)}-${digits.slice(at + 20, at + 32)}`
}

function refill(): void {
  randomFillSync(pool)
  for (let at = 0; at < pool.length; at += 16) {
    pool[at + 6] = ((pool[at + 6] ?? 0) & 0x0f) | 0x40
    pool[at + 8] = ((pool[at + 8] ?? 0) & 0x3f) | 0x80
  }
  digits = pool.toString('hex')
  used = 0
}
