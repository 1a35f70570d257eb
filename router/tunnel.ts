import type { Conn, Handler } from './conn.ts'
import type { Limits } from './limits.ts'
import type { Session } from './session.ts'
import type { Upstream } from './upstream.ts'

/**
 * Bytes both ways after a 101, half-closes too, until both sides have ended, one is gone, or nothing moved for 55 s. It takes both
 * connections over; `over` is called once, with the bytes that went to the client.
 */
export class Tunnel {
  private readonly session: Session
  private readonly upstream: Upstream
  private readonly limits: Limits
  private readonly over: (bytes: number, idle: boolean) => void
  private deadline: number
  private bytes = 0
  private ends = 0
  private done = false
  /** We ended it because its backend had to go. */
  wasCut = false

  constructor(session: Session, upstream: Upstream, limits: Limits, over: (bytes: number, idle: boolean) => void) {
    this.session = session
    this.upstream = upstream
    this.limits = limits
    this.over = over
    this.deadline = Date.now() + limits.idle
  }

  /** Takes the connections over, with what has arrived behind the heads. */
  open(): void {
    const { session, upstream } = this
    const early = { client: session.input, backend: upstream.input }
    session.input = null
    upstream.input = null
    session.conn.handler = this.side(session.conn, upstream.conn)
    upstream.conn.handler = this.side(upstream.conn, session.conn)
    session.conn.resume()
    upstream.conn.resume()
    if (early.backend !== null) upstream.conn.handler.data(early.backend)
    if (early.client !== null) session.conn.handler.data(early.client)
    if (session.clientEnded) session.conn.handler.ended()
  }

  sweep(now: number): void {
    if (now < this.deadline) return
    this.end(true)
    this.destroy()
  }

  cut(): void {
    this.wasCut = !this.done
    this.end(false)
  }

  private side(from: Conn, to: Conn): Handler {
    return {
      data: (chunk) => {
        this.deadline = Date.now() + this.limits.idle
        if (from === this.upstream.conn) this.bytes += chunk.length
        to.write(chunk)
        if (to.buffered > this.limits.requestBuffer) from.pause()
      },
      drained: () => to.resume(),
      ended: () => {
        to.end()
        if (++this.ends === 2) this.end(false)
      },
      closed: () => this.end(false),
    }
  }

  /** When both sides have ended, what is still buffered may leave; `sweep` cuts what does not. */
  private end(idle: boolean): void {
    if (this.done) return
    this.done = true
    const { session, upstream } = this
    session.conn.handler = { ...silent, closed: () => session.closed() }
    upstream.conn.handler = silent
    this.over(this.bytes, idle)
    if (this.ends < 2) this.destroy()
    if (session.conn.dead) session.closed()
  }

  private destroy(): void {
    this.session.conn.destroy()
    this.upstream.conn.destroy()
  }
}

const silent: Handler = { data() {}, drained() {}, ended() {}, closed() {} }
