import { randomBytes } from 'node:crypto'
import type { ResponseHead } from './head.ts'
import { field } from './headers.ts'

/**
 * Where WebSocket frames begin and end in one direction of a connection (RFC 6455 5.2). It reads headers only and keeps no payload, so
 * that a frame of ours can be put between two of theirs.
 */
export class Frames {
  /** Bytes of the payload that are still to come. */
  private left = 0
  /** The beginning of a header. */
  private begun: Buffer | null = null
  /** A message has come in part. */
  private fragmented = false
  private closing = false
  readonly masked: boolean
  /** This is not what RFC 6455 calls frames, so nothing is known any more. */
  lost = false

  /** `masked`: it comes from the client. */
  constructor(masked: boolean) {
    this.masked = masked
  }

  /** A frame may be put here. */
  get between(): boolean {
    return this.left === 0 && this.begun === null && !this.lost
  }

  /** The same, and no message is in the middle. */
  get atRest(): boolean {
    return this.between && !this.fragmented
  }

  /** The last frame has come: a close frame. */
  get closed(): boolean {
    return this.closing && this.between
  }

  /** Follows these bytes, with `stop` until it is at rest. Returns how many it has followed. */
  follow(chunk: Buffer, stop: boolean): number {
    let at = 0
    while (at < chunk.length && !this.lost && !this.closed) {
      if (this.left === 0) at = this.begin(chunk, at)
      const payload = Math.min(this.left, chunk.length - at)
      this.left -= payload
      at += payload
      if (stop && this.atRest) return at
    }
    return chunk.length
  }

  /** Returns where the payload begins. */
  private begin(chunk: Buffer, at: number): number {
    const had = this.begun?.length ?? 0
    const header = this.begun === null ? chunk : Buffer.concat([this.begun, chunk.subarray(0, LONGEST - had)])
    const from = this.begun === null ? at : 0
    const size = this.headerSize(header, from)
    if (header.length - from < size) {
      this.begun = Buffer.from(header.subarray(from))
      return chunk.length
    }
    this.begun = null
    this.take(header, from)
    return at + size - had
  }

  private headerSize(bytes: Buffer, at: number): number {
    const second = bytes[at + 1]
    if (second === undefined) return 2
    const length = second & 0x7f
    return 2 + (length === 127 ? 8 : length === 126 ? 2 : 0) + (second & MASK ? 4 : 0)
  }

  private take(bytes: Buffer, at: number): void {
    const first = bytes[at] ?? 0
    const second = bytes[at + 1] ?? 0
    const length = second & 0x7f
    const opcode = first & 0x0f
    const whole = (first & FIN) !== 0
    const control = opcode >= CLOSE
    this.left =
      length === 127 ? Number(bytes.readBigUInt64BE(at + 2)) : length === 126 ? bytes.readUInt16BE(at + 2) : length
    const bad = control ? !whole || length > 125 || opcode > PONG : opcode > BINARY
    if (bad || ((second & MASK) !== 0) !== this.masked || !Number.isSafeInteger(this.left)) this.lost = true
    if (!control) this.fragmented = !whole
    if (opcode === CLOSE) this.closing = true
  }
}

/** Of a 101: frames follow. */
export const acceptsWebSocket = ({ upgrade, fields }: ResponseHead): boolean =>
  upgrade.toLowerCase() === 'websocket' && field(fields, 'sec-websocket-accept') !== undefined

const FIN = 0x80
const MASK = 0x80
const BINARY = 2
const CLOSE = 8
const PONG = 10
/** Bytes of a header. */
const LONGEST = 14

/**
 * 1001, Going Away: RFC 6455 itself has it for a server that goes down (7.4.1), so every library takes it; some answer codes that were
 * registered later with a protocol error. 1012, Service Restart, would ask clients to stay away for 5 to 30 s, while the next release
 * serves already.
 */
const GOING_AWAY = 1001
const REASON = 'restarting'

/** Ends a WebSocket; `masked`: to the server. */
export function closeFrame(masked: boolean): Buffer {
  const payload = Buffer.alloc(2 + REASON.length)
  payload.writeUInt16BE(GOING_AWAY)
  payload.write(REASON, 2)
  if (!masked) return Buffer.concat([Buffer.of(FIN | CLOSE, payload.length), payload])
  const key = randomBytes(4)
  for (let i = 0; i < payload.length; i++) payload[i] = (payload[i] ?? 0) ^ (key[i % 4] ?? 0)
  return Buffer.concat([Buffer.of(FIN | CLOSE, MASK | payload.length), key, payload])
}
