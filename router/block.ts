import { release, stand } from './clock.ts'

const KiB = 1024
const SMALL_CHUNK = 1 * KiB

/**
 * Memory that connections read into, so that a read makes none. A chunk in it is the receiver's only as long as the call that brings it:
 * what is kept longer is copied (`kept`), but for what waits to be written, which takes its block along until it has left (conn.ts).
 *
 *   shared (all connections) --a read fills it--> own --write pending--> lent --written--> free        own --small read--> free
 */
export class Block {
  readonly bytes: Buffer
  /** Writes that are under way from it. */
  lent = 0

  private readonly views: (Buffer | undefined)[] = []

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafeSlow(size)
  }

  /** Its first bytes. The views of small chunks are kept: to make one costs more than to read such a head. */
  front(length: number): Buffer {
    if (length > SMALL_CHUNK) return this.bytes.subarray(0, length)
    const view = this.views[length] ?? this.bytes.subarray(0, length)
    this.views[length] = view
    return view
  }
}

/** Fits every head, and what is written in one piece with it. */
export const shared = new Block(16 * KiB)

const OWN = 64 * KiB
const FREE_MOST = 64
const free: Block[] = []

/** The block of the chunk that is being handed on now. */
let current: Block | null = null

/** Hands on what was read into `block`. */
export function lend(block: Block, length: number, receive: { data(chunk: Buffer): void }): void {
  const before = current
  const clock = stand()
  current = block
  try {
    receive.data(block.front(length))
  } finally {
    current = before
    release(clock)
  }
}

/** The block that `piece` lies in, as long as it is being handed on. */
export const blockOf = (piece: Buffer): Block | null =>
  current !== null && piece.buffer === current.bytes.buffer ? current : null

/** The same bytes, for longer than the call that has brought them. */
export const kept = (piece: Buffer): Buffer => (blockOf(piece) === null ? piece : Buffer.from(piece))

export const takeBlock = (): Block => free.pop() ?? new Block(OWN)

export function giveBack(block: Block): void {
  if (block !== shared && block.lent === 0 && free.length < FREE_MOST) free.push(block)
}
