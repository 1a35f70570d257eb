import type { TLSSocket } from 'node:tls'
import { kept, lend, shared } from './block.ts'
import { type Conn, type Handler, SMALL } from './conn.ts'
import { END, type Handles, type Tcp, type WriteRequest } from './handle.ts'

/**
 * A TLS connection whose handshake is done, on what Node's socket stands on: reads and writes go past the socket's streams, and all else
 * is the socket's. TLS takes one write at a time; what comes meanwhile waits, and is written as one.
 *
 *   open --end()--> ending --written--> half-closed          open, ending, half-closed --destroy, error, both have ended--> closed
 */
export class TlsConn implements Conn {
  handler: Handler
  private readonly handles: Handles
  private readonly socket: TLSSocket
  private readonly handle: Tcp
  /** Bytes under way, and bytes that wait. */
  private underway = 0
  private waiting = 0
  private readonly queue: (string | Buffer)[] = []
  private full = false
  private reading = true
  private inputEnded = false
  private ending = false

  /** Null where this Node has no such handle, or something has come to the socket already. */
  static on(handles: Handles, socket: TLSSocket, handler: Handler): TlsConn | null {
    const { _handle: handle } = socket as unknown as { _handle: (Tcp & { reading: boolean }) | null }
    const usable = handle !== null && USED.every((name) => name in handle) && handle.reading
    return usable && socket.readableLength === 0 ? new TlsConn(handles, socket, handle, handler) : null
  }

  private constructor(handles: Handles, socket: TLSSocket, handle: Tcp, handler: Handler) {
    this.handles = handles
    this.socket = socket
    this.handle = handle
    this.handler = handler
    handle.owner = this
    handle.onread = onread
    handle.useUserBuffer(shared.bytes)
    socket.on('error', () => socket.destroy())
    socket.once('finish', () => this.inputEnded && socket.destroy())
    socket.once('close', () => this.handler.closed())
  }

  get dead(): boolean {
    return this.socket.destroyed
  }

  get buffered(): number {
    return this.underway + this.waiting
  }

  write(data: string | Buffer): void {
    if (this.dead || this.ending || data.length === 0) return
    if (this.underway === 0) return this.send(data)
    this.waiting += data.length
    this.queue.push(typeof data === 'string' ? data : kept(data))
    if (this.buffered > SMALL) this.full = true
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
    if (this.underway === 0) this.socket.end()
  }

  destroy(): void {
    this.socket.destroy()
  }

  /** TLS says so by itself: its proper end is a message of its own, which a destroyed socket does not send. */
  reset(): void {
    this.socket.destroy()
  }

  /** Something was decrypted, or nothing follows. Returns the memory for the next when it is another. */
  read(): Uint8Array | undefined {
    const { state, read } = this.handles
    const length = state[read] ?? 0
    if (length > 0) lend(shared, length, this.handler)
    else if (length === END) this.endInput()
    else if (length < 0) this.destroy()
    return undefined
  }

  private endInput(): void {
    if (this.inputEnded || this.dead) return
    this.inputEnded = true
    this.handler.ended()
    if (this.socket.writableFinished) this.destroy()
  }

  /** What is encrypted is copied by that, so the memory is free as soon as this returns. */
  private send(data: string | Buffer): void {
    const request = this.handles.newWrite()
    request.owner = this
    request.oncomplete = written
    this.underway = data.length
    if (this.underway > SMALL) this.full = true
    const { handle } = this
    const error = typeof data === 'string' ? handle.writeLatin1String(request, data) : handle.writeBuffer(request, data)
    if (error !== 0) return this.destroy()
    if (this.handles.state[this.handles.async] === 0) this.written(0)
  }

  written(status: number): void {
    this.underway = 0
    if (status < 0) return this.destroy()
    if (this.dead) return
    if (this.queue.length > 0) return this.send(this.next())
    if (this.ending) this.socket.end()
    if (!this.full) return
    this.full = false
    this.handler.drained()
  }

  /** What waits, as far as it is text all of it at once. */
  private next(): string | Buffer {
    let data = this.queue.shift() ?? ''
    while (typeof data === 'string' && typeof this.queue[0] === 'string' && data.length < SMALL)
      data += this.queue.shift()
    this.waiting -= data.length
    return data
  }
}

const USED = ['useUserBuffer', 'readStart', 'readStop', 'writeBuffer', 'writeLatin1String'] as const

function onread(this: Tcp): Uint8Array | undefined {
  return (this.owner as TlsConn).read()
}

function written(this: WriteRequest, status: number): void {
  ;(this.owner as TlsConn).written(status)
}
