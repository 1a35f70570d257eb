import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { Allowance } from './allowance.ts'
import type { Entrance } from './client.ts'
import type { Raw } from './http2-head.ts'
import { Http2Stream } from './http2-stream.ts'
import type { Limits } from './limits.ts'
import type { Connection, Router } from './router.ts'

const { NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_FLAG_END_STREAM } = constants

/**
 * One client's HTTP/2 connection: many requests at once.
 *
 *   open --60 s without a request, the router closes--> leaving (GOAWAY)      open, leaving --client closed--> (gone)
 *   open --too many resets, PINGs, SETTINGS--> (gone, GOAWAY ENHANCE_YOUR_CALM)
 *   leaving --last request ended, 2 s--> (gone)
 *
 * Bounded by nghttp2 1.57 and later and Node.js (https://nodejs.org/docs/latest-v20.x/api/http2.html#http2createserveroptions-onrequesthandler):
 * CONTINUATION frames (8), unsent acknowledgements (1,000), invalid frames (1,000), streams beyond those allowed (100), PINGs of our own,
 * memory of one connection (10 MB), and by the flow-control windows (64 KiB a request) what comes in. The rest is bounded here.
 */
export class Http2Session implements Connection {
  readonly tunnelled = false
  readonly router: Router
  readonly entrance: Entrance
  /** Bytes of all responses that have not been sent. */
  unsent = 0
  private readonly socket: TLSSocket
  private readonly session: ServerHttp2Session
  private readonly streams = new Set<Http2Stream>()
  private readonly resets: Allowance
  private readonly controls: Allowance
  private deadline: number

  constructor(router: Router, entrance: Entrance, socket: TLSSocket) {
    const { limits } = router
    const now = Date.now()
    this.router = router
    this.entrance = entrance
    this.socket = socket
    this.resets = new Allowance(limits.resets, limits.resetsPerSecond, now)
    this.controls = new Allowance(limits.controlFrames, limits.controlFramesPerSecond, now)
    this.deadline = now + limits.clientIdle
    // A half-closed connection is of no use to HTTP/2: the client can acknowledge nothing any more.
    socket.allowHalfOpen = false
    socket.setNoDelay(true)
    socket.on('error', () => socket.destroy())
    this.session = performServerHandshake(socket, options(limits))
    this.listen()
  }

  private listen(): void {
    const { session } = this
    session.on('error', () => session.destroy())
    session.on('close', () => {
      this.router.sessions.delete(this)
      this.socket.destroy()
    })
    session.on('stream', (stream: ServerHttp2Stream, _: unknown, flags: number, raw: Raw) =>
      this.begin(stream, raw, (flags & NGHTTP2_FLAG_END_STREAM) !== 0),
    )
    session.on('ping', () => this.count(this.controls))
    session.on('remoteSettings', () => this.count(this.controls))
  }

  private begin(stream: ServerHttp2Stream, raw: Raw, whole: boolean): void {
    // Taken back before we have looked at it.
    if (stream.closed || stream.destroyed) return this.offend()
    this.streams.add(new Http2Stream(this, stream, raw, whole))
  }

  /** Counts a request that the client has taken back, or that was refused. */
  offend(): void {
    this.count(this.resets)
  }

  private count(allowance: Allowance): void {
    if (allowance.take(Date.now())) return
    this.session.destroy(new Error('too much of it'), NGHTTP2_ENHANCE_YOUR_CALM)
  }

  over(stream: Http2Stream): void {
    this.streams.delete(stream)
    const { limits } = this.router
    this.deadline = Date.now() + (this.session.closed ? limits.linger : limits.clientIdle)
  }

  /** At once: GOAWAY says which requests are not answered any more, so that they are made elsewhere. */
  retire(): void {
    if (this.session.closed) return
    this.deadline = Date.now() + this.router.limits.linger
    this.session.close()
  }

  sweep(now: number): void {
    for (const stream of this.streams) stream.sweep(now)
    if (this.streams.size > 0 || now < this.deadline) return
    if (this.session.closed) this.socket.destroy()
    else this.retire()
  }

  forceClose(): void {
    for (const stream of this.streams) stream.forceClose()
    this.session.destroy()
  }
}

const options = (limits: Limits) => ({
  // Room for what becomes longer, so that most of what is too long gets an answer instead of a reset.
  maxHeaderListPairs: limits.headers * 2,
  maxSendHeaderBlockLength: limits.responseHead * 2,
  settings: { maxConcurrentStreams: limits.streams, maxHeaderListSize: limits.requestHead * 2 },
})
