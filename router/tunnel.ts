import type { Conn, Handler } from './conn.ts'
import { closeFrame, Frames } from './frames.ts'
import type { Limits } from './limits.ts'
import type { Session } from './session.ts'
import type { Upstream } from './upstream.ts'

/**
 * What follows a 101: bytes both ways, half-closes too. It takes both connections over; `over` is called once, with the bytes that went
 * to the client.
 *
 *   open --both sides have ended, one is gone, nothing moved for 55 s--> over
 *   open --its backend's time is up, cut()--> ending     each way goes on to the end of its message, at most `tunnelMessage`
 *   ending --both sides are told--> told                 by a close frame in a WebSocket, else by a half-close; what comes is thrown away
 *   told --`tunnelClose`--> leaving                      both are half-closed, although they have not answered
 *   ending, told, leaving --both sides have ended, one is gone--> over          leaving --`linger`--> over, by force
 */
export class Tunnel {
  private state: 'open' | 'ending' | 'told' | 'leaving' | 'over' = 'open'
  private readonly session: Carrier
  private readonly upstream: Upstream
  private readonly limits: Limits
  private readonly over: (bytes: number, idle: boolean) => void
  private deadline: number
  /** Bytes that had not left at the last sweep. */
  private left = 0
  private up: Way | null = null
  private down: Way | null = null
  /** For the backend's receipt. */
  outcome: 'finished' | 'cut' | 'failed' = 'finished'

  constructor(session: Carrier, upstream: Upstream, limits: Limits, over: (bytes: number, idle: boolean) => void) {
    this.session = session
    this.upstream = upstream
    this.limits = limits
    this.over = over
    this.deadline = Date.now() + limits.idle
  }

  /** Takes the connections over, with what has arrived behind the heads. */
  open(websocket: boolean): void {
    const { session, upstream } = this
    const early = { client: session.input, backend: upstream.input }
    session.input = null
    upstream.input = null
    const up = new Way(this, session.conn, upstream.conn, websocket ? new Frames(true) : null)
    const down = new Way(this, upstream.conn, session.conn, websocket ? new Frames(false) : null)
    this.up = up
    this.down = down
    session.conn.handler = up
    upstream.conn.handler = down
    session.conn.resume()
    upstream.conn.resume()
    if (early.backend !== null) down.data(early.backend)
    if (early.client !== null) up.data(early.client)
    if (session.clientEnded) up.ended()
  }

  /** Ends it as soon as that can be done properly. */
  cut(): void {
    if (this.state !== 'open') return
    this.outcome = 'cut'
    this.enter('ending', this.limits.tunnelMessage)
    this.tell(false)
  }

  sweep(now: number): void {
    const left = this.session.conn.buffered + this.upstream.conn.buffered
    if (left < this.left) this.moved()
    this.left = left
    if (this.state === 'open' && now >= this.upstream.backend.tunnelsEnd) return this.cut()
    if (now < this.deadline) return
    switch (this.state) {
      case 'open':
        this.finish(true)
        return this.destroy()
      case 'ending':
        return this.tell(true)
      case 'told':
        this.enter('leaving', this.limits.linger)
        for (const way of [this.up, this.down]) way?.from.end()
        return
      case 'leaving':
        this.finish(false)
        return this.destroy()
      case 'over':
        return this.destroy()
      default:
        return this.state satisfies never
    }
  }

  /** Something has come. */
  moved(): void {
    if (this.state === 'open') this.deadline = Date.now() + this.limits.idle
  }

  /** A way has come to the end of its message, when that is what we wait for. */
  get ending(): boolean {
    return this.state === 'ending'
  }

  /** That went to the client. */
  get bytes(): number {
    return this.down?.passed ?? 0
  }

  get most(): number {
    return this.limits.requestBuffer
  }

  /** Tells both sides that this is the end, each where it can be told; with `force` in the middle of a message. */
  tell(force: boolean): void {
    const { up, down } = this
    if (up === null || down === null) return
    up.tell(force)
    down.tell(force)
    if (this.state !== 'ending' || !up.told || !down.told) return
    this.enter('told', this.limits.tunnelClose)
    this.answered()
  }

  /** A side that knows the end, and has said so, can go. */
  answered(): void {
    const { up, down } = this
    if (this.state === 'open' || up === null || down === null) return
    if (down.told && up.said) up.from.end()
    if (up.told && down.said) down.from.end()
  }

  /** A side has half-closed. */
  ended(): void {
    this.answered()
    if (this.up?.over && this.down?.over) this.finish(false)
  }

  /** A side is gone. */
  gone(from: Conn): void {
    if (this.state === 'open' && from === this.upstream.conn && !this.down?.over) this.outcome = 'failed'
    this.finish(false)
  }

  private enter(state: 'ending' | 'told' | 'leaving', time: number): void {
    this.state = state
    this.deadline = Date.now() + time
  }

  /** When both sides have ended, what is still buffered may leave; `sweep` cuts what does not. */
  private finish(idle: boolean): void {
    if (this.state === 'over') return
    this.state = 'over'
    const { session, upstream, up, down } = this
    session.conn.handler = { ...silent, closed: () => session.closed() }
    upstream.conn.handler = silent
    this.over(this.bytes, idle)
    if (!up?.over || !down?.over) this.destroy()
    if (session.conn.dead) session.closed()
  }

  private destroy(): void {
    this.session.conn.destroy()
    this.upstream.conn.destroy()
  }
}

/** From the moment that a tunnel must end until it has, at most, ms. */
export const endTime = ({ tunnelMessage, tunnelClose, linger, sweep }: Limits): number =>
  tunnelMessage + tunnelClose + linger + 4 * sweep

/** The client's side. */
type Carrier = Pick<Session, 'conn' | 'input' | 'clientEnded' | 'closed'>

/** One direction of a tunnel. */
class Way implements Handler {
  private readonly tunnel: Tunnel
  readonly from: Conn
  private readonly to: Conn
  /** Of a WebSocket. */
  private readonly frames: Frames | null
  passed = 0
  /** The receiver knows that nothing follows. */
  told = false
  /** The sender has half-closed. */
  over = false

  constructor(tunnel: Tunnel, from: Conn, to: Conn, frames: Frames | null) {
    this.tunnel = tunnel
    this.from = from
    this.to = to
    this.frames = frames
  }

  /** The sender has said that nothing follows. */
  get said(): boolean {
    return this.over || this.frames?.closed === true
  }

  data(chunk: Buffer): void {
    this.tunnel.moved()
    const waits = this.tunnel.ending && !this.told
    const used = this.frames?.follow(chunk, waits) ?? chunk.length
    if (!this.told) this.pass(chunk.subarray(0, used))
    if (waits) this.tunnel.tell(false)
    if (used < chunk.length) this.frames?.follow(chunk.subarray(used), false)
    this.tunnel.answered()
  }

  drained(): void {
    this.to.resume()
  }

  ended(): void {
    this.over = true
    if (!this.told) this.to.end()
    if (this.tunnel.ending) this.tunnel.tell(false)
    this.tunnel.ended()
  }

  closed(): void {
    this.tunnel.gone(this.from)
  }

  /** Lets the receiver know the end, at rest at the latest; with `force` now. */
  tell(force: boolean): void {
    const { frames } = this
    if (this.told) return
    if (frames === null || frames.lost) this.to.end()
    else if (!this.said) {
      if (frames.atRest || (force && frames.between)) this.to.write(closeFrame(frames.masked))
      else if (force) this.to.end()
      else return
    }
    this.told = true
    this.from.resume()
  }

  private pass(chunk: Buffer): void {
    this.passed += chunk.length
    this.to.write(chunk)
    if (this.to.buffered > this.tunnel.most) this.from.pause()
  }
}

const silent: Handler = { data() {}, drained() {}, ended() {}, closed() {} }
