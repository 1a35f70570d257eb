import { type Block, blockOf, giveBack, lend, shared, takeBlock } from './block.ts'
import { type Conn, type Handler, SMALL } from './conn.ts'
import { END, type Handles, NOT_CONNECTED, type Request, type Tcp, type WriteRequest } from './handle.ts'

/**
 * A connection straight on Node's TCP handle: no streams, no events, no memory of its own while it is idle. Either end may close first;
 * when both have, it is taken down.
 */
export class HandleConn implements Conn {
  handler: Handler
  dead = false
  /** Called last. */
  left: () => void = nothing
  private readonly handles: Handles
  private readonly handle: Tcp
  private block: Block = shared
  /** Writes that the kernel has not taken whole. */
  private pending = 0
  private full = false
  private reading = false
  private inputEnded = false
  private ending = false
  private outputEnded = false

  /** It reads when it is told to. */
  constructor(handles: Handles, handle: Tcp, handler: Handler) {
    this.handles = handles
    this.handle = handle
    this.handler = handler
    handle.owner = this
    handle.onread = onread
    handle.useUserBuffer(shared.bytes)
  }

  write(data: string | Buffer): void {
    if (this.dead || this.ending) return
    if (typeof data === 'string')
      return this.sent(this.handle.writeLatin1String(spareFor(this.handles), data), data, null)
    const block = blockOf(data)
    if (block === shared) return this.write(data.toString('latin1'))
    this.sent(this.handle.writeBuffer(spareFor(this.handles), data), data, block)
  }

  get buffered(): number {
    return this.pending === 0 || this.dead ? 0 : this.handle.writeQueueSize
  }

  pause(): void {
    if (!this.reading) return
    this.reading = false
    if (!this.dead) this.handle.readStop()
  }

  resume(): void {
    if (this.reading || this.dead || this.inputEnded) return
    this.reading = true
    if (this.handle.readStart() !== 0) this.destroy()
  }

  end(): void {
    if (this.dead || this.ending) return
    this.ending = true
    const request = this.handles.newShutdown()
    request.owner = this
    request.oncomplete = shut
    const result = this.handle.shutdown(request)
    if (result === 1 || result === NOT_CONNECTED) this.closeOutput()
    else if (result !== 0) this.destroy()
  }

  destroy(): void {
    if (this.dead) return
    this.dead = true
    this.handle.close(closed)
  }

  reset(): void {
    if (this.ending) return this.destroy()
    if (this.dead) return
    this.dead = true
    this.handle.reset(closed)
  }

  /** Something was read. Returns the memory for the next read when it is another. */
  read(): Uint8Array | undefined {
    const { state, read } = this.handles
    const length = state[read] ?? 0
    if (length > 0) return this.arrived(length)
    if (length === END) this.endInput()
    else if (length < 0) this.destroy()
    return undefined
  }

  private arrived(length: number): Buffer | undefined {
    const { block } = this
    lend(block, length, this.handler)
    if (block === shared ? length < shared.bytes.length : block.lent === 0 && length > SMALL) return undefined
    giveBack(block)
    this.block = length > SMALL || block === shared ? takeBlock() : shared
    return this.block.bytes
  }

  private endInput(): void {
    this.inputEnded = true
    this.handler.ended()
    if (this.outputEnded) this.destroy()
  }

  closeOutput(): void {
    this.outputEnded = true
    if (this.inputEnded) this.destroy()
  }

  written(status: number): void {
    this.pending--
    if (status < 0) return this.destroy()
    if (this.pending > 0 || !this.full) return
    this.full = false
    this.handler.drained()
  }

  closed(): void {
    giveBack(this.block)
    this.handler.closed()
    this.left()
  }

  /** After a try to write: what is left goes on by itself and keeps what it needs. */
  private sent(error: number, bytes: string | Buffer, block: Block | null): void {
    if (error !== 0) return this.destroy()
    const { state, async } = this.handles
    if (state[async] === 0 || spare === null) return
    const request: WriteRequest = spare
    spare = null
    request.owner = this
    request.bytes = bytes
    request.block = block
    request.oncomplete = written
    if (block !== null) block.lent++
    this.pending++
    if (this.handle.writeQueueSize > SMALL) this.full = true
  }
}

const nothing = (): void => {}

/** A request that a write has not needed serves the next. */
let spare: WriteRequest | null = null

function spareFor(handles: Handles): WriteRequest {
  spare ??= handles.newWrite()
  return spare
}

function onread(this: Tcp): Uint8Array | undefined {
  return (this.owner as HandleConn).read()
}

function written(this: WriteRequest, status: number): void {
  const { block } = this
  if (block) {
    block.lent--
    giveBack(block)
  }
  ;(this.owner as HandleConn).written(status)
}

function shut(this: Request, status: number): void {
  if (status === 0) (this.owner as HandleConn).closeOutput()
}

function closed(this: Tcp): void {
  ;(this.owner as HandleConn).closed()
}
