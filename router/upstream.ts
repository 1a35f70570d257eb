import type { Backend } from './backend.ts'
import { kept } from './block.ts'
import type { Conn, Handler } from './conn.ts'
import type { Member } from './crowd.ts'
import { dial } from './dial.ts'
import { joined } from './input.ts'

/** Who uses a backend's connection: one exchange at a time. */
export interface User extends Member {
  connected(): void
  connectFailed(): void
  /** `upstream.input` has grown. */
  responded(): void
  backendDrained(): void
  backendEnded(): void
  backendClosed(): void
  /** The backend has left the table. */
  gone(): void
}

/** One connection to a backend. Whatever arrives while nobody uses it makes it unusable. */
export class Upstream implements Handler {
  readonly backend: Backend
  readonly conn: Conn
  user: User | null
  input: Buffer | null = null
  /** It has served a request before. */
  pooled = false
  idleSince = 0
  private established = false

  constructor(backend: Backend, user: User) {
    this.backend = backend
    this.user = user
    this.conn = dial(backend, this, () => {
      this.established = true
      this.user?.connected()
    })
  }

  data(chunk: Buffer): void {
    if (this.user === null) return this.discard()
    this.input = joined(this.input, chunk)
    this.user.responded()
    if (this.input !== null) this.input = kept(this.input)
  }

  consume(bytes: number): void {
    if (this.input !== null) this.input = bytes < this.input.length ? this.input.subarray(bytes) : null
  }

  drained(): void {
    this.user?.backendDrained()
  }

  ended(): void {
    if (this.user === null) this.discard()
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

  /** Out of the pool at once: it is told that it has closed only when others have been served. */
  private discard(): void {
    this.backend.forget(this)
    this.conn.destroy()
  }

  /** Cuts it without telling the user. */
  drop(): void {
    this.user = null
    this.conn.destroy()
  }
}
