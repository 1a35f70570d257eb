import { connect } from 'node:net'
import type { Backend } from './backend.ts'
import { type Handler, SocketConn } from './conn.ts'

/** Who uses a backend's connection: one exchange at a time. */
export interface User {
  connected(): void
  connectFailed(): void
  /** `upstream.input` has grown. */
  responded(): void
  backendDrained(): void
  backendEnded(): void
  backendClosed(): void
  /** The backend has left the table; a tunnel ends now. */
  cut(): void
}

/** One connection to a backend. Whatever arrives while nobody uses it makes it unusable. */
export class Upstream implements Handler {
  readonly backend: Backend
  readonly conn: SocketConn
  user: User | null
  input: Buffer | null = null
  /** It has served a request before. */
  pooled = false
  idleSince = 0
  private established = false

  constructor(backend: Backend, user: User) {
    this.backend = backend
    this.user = user
    const socket = connect({ host: backend.address, port: backend.port, allowHalfOpen: true })
    this.conn = new SocketConn(socket, this)
    socket.once('connect', () => {
      this.established = true
      this.user?.connected()
    })
  }

  data(chunk: Buffer): void {
    if (this.user === null) return this.conn.destroy()
    this.input = this.input === null ? chunk : Buffer.concat([this.input, chunk])
    this.user.responded()
  }

  consume(bytes: number): void {
    if (this.input !== null) this.input = bytes < this.input.length ? this.input.subarray(bytes) : null
  }

  drained(): void {
    this.user?.backendDrained()
  }

  ended(): void {
    if (this.user === null) this.conn.destroy()
    else this.user.backendEnded()
  }

  closed(): void {
    const { user } = this
    this.user = null
    this.backend.forget(this)
    if (user === null) return
    if (this.established) user.backendClosed()
    else user.connectFailed()
  }

  /** Cuts it without telling the user. */
  drop(): void {
    this.user = null
    this.conn.destroy()
  }
}
