import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { kept } from './block.ts'

/**
 * A byte stream as the core sees it, so that the core does not know what carries it. `drained` comes after `buffered` was above
 * 16 KiB, when everything was handed to the kernel; `closed` comes exactly once and last.
 */
export interface Conn {
  handler: Handler
  /** Strings are latin1. */
  write(data: string | Buffer): void
  /** Bytes written and not yet with the kernel. */
  readonly buffered: number
  pause(): void
  resume(): void
  /** Half-closes after what was written. */
  end(): void
  destroy(): void
  /** The same, but what the other side has got so far can never look like all of it. */
  reset(): void
  readonly dead: boolean
}

export interface Handler {
  /** The chunk is the receiver's during the call; what it keeps for later is copied (block.ts). */
  data(chunk: Buffer): void
  drained(): void
  /** The other side half-closed. */
  ended(): void
  closed(): void
}

export class SocketConn implements Conn {
  handler: Handler
  private readonly socket: Socket

  /** The socket must allow half-open connections. */
  constructor(socket: Socket, handler: Handler) {
    this.socket = socket
    this.handler = handler
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.handler.data(chunk))
    socket.on('drain', () => this.handler.drained())
    socket.on('end', () => this.handler.ended())
    socket.on('error', () => socket.destroy())
    socket.on('close', () => this.handler.closed())
  }

  write(data: string | Buffer): void {
    if (this.socket.destroyed || this.socket.writableEnded) return
    if (typeof data === 'string') this.socket.write(data, 'latin1')
    else this.socket.write(kept(data))
  }

  get buffered(): number {
    return this.socket.writableLength
  }

  get dead(): boolean {
    return this.socket.destroyed
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  end(): void {
    if (!this.socket.destroyed) this.socket.end()
  }

  destroy(): void {
    this.socket.destroy()
  }

  /** TLS says so by itself: its proper end is a message of its own, which a destroyed socket does not send. */
  reset(): void {
    if (this.socket instanceof TLSSocket) this.socket.destroy()
    else this.socket.resetAndDestroy()
  }
}

/** Pieces up to this size are joined with the text before them, to be one write. */
export const SMALL = 16 * 1024

/** Writes a text and the piece behind it, in one go when the piece is small. */
export function writeJoined(to: Conn, text: string, piece: Buffer | string): void {
  if (typeof piece === 'string') {
    if (text !== '' || piece !== '') to.write(text + piece)
  } else if (text !== '' && piece.length <= SMALL) to.write(text + piece.toString('latin1'))
  else {
    if (text !== '') to.write(text)
    to.write(piece)
  }
}
