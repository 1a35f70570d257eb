import { constants, type ServerHttp2Stream, type ServerStreamResponseOptions } from 'node:http2'
import { kept } from './block.ts'
import type { Client, Entrance } from './client.ts'
import { Exchange } from './exchange.ts'
import type { Fields } from './fields.ts'
import { BadResponse, Refusal, type RequestHead, type ResponseHead } from './head.ts'
import type { Http2Session } from './http2.ts'
import { pageHeaders, type Raw, requestOf, responseHeaders, trailerHeaders, trailersOf } from './http2-head.ts'
import { joined } from './input.ts'
import { type Page, pageOf, refusal } from './page.ts'
import { newRequestId } from './request-id.ts'
import type { Tunnel } from './tunnel.ts'

const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR } = constants

/** Responses that Node.js ends with their heads; those to HEAD too. */
const EMPTY = new Set([204, 205, 304])

/** Bytes that Node.js gets before those in front of them have left. */
const AT_ONCE = 64 * 1024

/** As the documentation has it, but not the types; without it Node.js adds a `Date` of its own. */
type Options = ServerStreamResponseOptions & { sendDate: boolean }

/**
 * One request over HTTP/2.
 *
 *   open --head--> exchange --complete, page--> sending --all has left--> (gone)
 *   open --refused--> sending
 *   exchange --broken off--> RST_STREAM INTERNAL_ERROR      exchange --client gone--> (gone)
 *   sending --nothing leaves for 55 s--> RST_STREAM CANCEL --nor does that, 2 s--> (gone)
 *
 * What is still coming in while it is `sending` is told off by RST_STREAM NO_ERROR behind the response (RFC 9113 8.1).
 */
export class Http2Stream implements Client {
  readonly entrance: Entrance
  readonly chunks = false
  input: Buffer | null = null
  clientEnded = false
  trailers: Fields = []
  private readonly session: Http2Session
  private readonly stream: ServerHttp2Stream
  private exchange: Exchange | null = null
  /** A response's head that waits for the first piece of its body. */
  private held: { head: ResponseHead; more: Fields } | null = null
  /** The whole response is written; its trailers may still have to follow. */
  private ended = false
  private trailing = false
  private gone = false
  private paused = false
  /** Of the response, for when what was written has left. */
  private readonly waiting: Buffer[] = []
  /** Bytes of it that have not left, written or not. */
  private unsent = 0
  private deadline = Number.POSITIVE_INFINITY

  constructor(session: Http2Session, stream: ServerHttp2Stream, raw: Raw, whole: boolean) {
    this.session = session
    this.stream = stream
    this.entrance = session.entrance
    this.clientEnded = whole
    stream.on('error', () => {})
    stream.on('close', () => this.closed())
    stream.on('aborted', () => this.leave())
    stream.on('finish', () => this.tellOff())
    try {
      const head = requestOf(raw, whole, session.router.limits)
      this.listen()
      this.begin(head)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      this.refuse(error)
    }
  }

  private listen(): void {
    const { stream } = this
    stream.on('data', (chunk: Buffer) => {
      if (this.exchange === null) return
      this.input = joined(this.input, chunk)
      this.exchange.takeRequest()
      this.regulate()
    })
    stream.on('trailers', (_: unknown, __: unknown, raw: Raw) => {
      const trailers = trailersOf(raw, this.session.router.limits)
      if (trailers === undefined) this.leave()
      else this.trailers = trailers
    })
    stream.on('end', () => {
      if (this.stream.aborted) return
      this.clientEnded = true
      this.exchange?.clientEnded()
    })
  }

  private begin(head: RequestHead): void {
    this.exchange = new Exchange(this.session.router, this, head)
    this.exchange.start()
  }

  private refuse({ status, message }: Refusal): void {
    this.session.offend()
    const page = pageOf(refusal(status, message), { html: false, requestId: newRequestId() })
    this.answer(page, { close: false, bodiless: false })
    this.finished()
  }

  /** What keeps the backend from being read: this request's own bytes, and all of a connection that takes none. */
  get buffered(): number {
    const most = this.session.router.limits.responseBuffer
    return this.unsent > 0 && this.session.unsent > most ? this.session.unsent : this.unsent
  }

  consume(bytes: number): void {
    if (this.input !== null) this.input = bytes < this.input.length ? this.input.subarray(bytes) : null
  }

  regulate(): void {
    const most = this.session.router.limits.requestBuffer
    const full = (this.input?.length ?? 0) > most || (this.exchange?.unsent ?? 0) > most
    if (full === this.paused) return
    this.paused = full
    if (full) this.stream.pause()
    else this.stream.resume()
  }

  inform(head: ResponseHead): void {
    if (!this.stream.closed) this.stream.additionalHeaders(responseHeaders(head))
  }

  respond(head: ResponseHead, { more }: { close: boolean; more: Fields }): void {
    this.held = { head, more }
    // HTTP/1.1 passes such a number on; Node.js sends none over HTTP/2.
    if (head.status > 599) throw new BadResponse('H17', 'bad status line')
  }

  withdraw(): boolean {
    const withdrawn = this.held !== null
    this.held = null
    return withdrawn
  }

  pass(piece: Buffer | string): void {
    this.flush()
    const { length } = piece
    if (length === 0 || this.stream.closed || this.stream.writableEnded) return
    this.unsent += length
    this.session.unsent += length
    this.waiting.push(typeof piece === 'string' ? Buffer.from(piece, 'latin1') : kept(piece))
    this.send()
  }

  /** A little at a time: Node.js makes one write of all that it has, and tells when all of that has left. */
  private send(): void {
    const { stream, waiting } = this
    while (stream.writableLength < AT_ONCE && !stream.closed) {
      const piece = waiting.shift()
      if (piece === undefined) break
      stream.write(piece, () => this.left(piece.length))
    }
    if (this.ended && waiting.length === 0 && !stream.writableEnded) stream.end()
  }

  flush(): void {
    if (this.held === null) return
    const { head, more } = this.held
    this.held = null
    if (this.stream.closed) return
    this.trailing = head.length === 'chunked' && !this.stream.writableEnded && !EMPTY.has(head.status)
    const how: Options = { sendDate: false, waitForTrailers: this.trailing }
    this.stream.respond(responseHeaders(head, more), how)
  }

  complete(trailers: Fields): void {
    this.stream.once('wantTrailers', () => {
      this.stream.sendTrailers(trailerHeaders(trailers))
      // Node.js sends them in an immediate of its own.
      setImmediate(() => {
        this.trailing = false
        this.tellOff()
      })
    })
    this.flush()
    this.end()
  }

  answer(page: Page, { bodiless }: { close: boolean; bodiless: boolean }): void {
    if (this.stream.closed) return
    const how: Options = { sendDate: false }
    this.stream.respond(pageHeaders(page), how)
    if (!bodiless) this.pass(page.body)
    this.end()
  }

  private end(): void {
    this.ended = true
    this.send()
  }

  /** HTTP/2 has none (RFC 9113 8.6), and no request over it asks for one. */
  upgrade(): Tunnel {
    throw new TypeError('no upgrade over HTTP/2')
  }

  finished(): void {
    this.exchange = null
    this.input = null
    this.deadline = Date.now() + this.session.router.limits.idle
    this.stream.resume()
    this.tellOff()
  }

  private tellOff(): void {
    const { stream, ended, trailing, clientEnded } = this
    if (ended && !trailing && !clientEnded && stream.writableFinished) stream.close(NGHTTP2_NO_ERROR)
  }

  /** Not by `close`, which in Node.js ends the body properly before it resets. */
  destroy(): void {
    this.held = null
    this.stream.destroy(new Error('broken off'))
  }

  sweep(now: number): void {
    if (this.exchange !== null) this.exchange.sweep(now)
    else if (now >= this.deadline) this.giveUp(now)
  }

  /** What closes a stream waits behind what the client does not take. */
  private giveUp(now: number): void {
    if (this.stream.closed) return this.destroy()
    this.deadline = now + this.session.router.limits.linger
    this.stream.close(NGHTTP2_CANCEL)
  }

  forceClose(): void {
    this.exchange?.forceClose()
  }

  private left(length: number): void {
    if (this.gone) return
    this.unsent -= length
    this.session.unsent -= length
    this.send()
    if (this.exchange === null) this.deadline = Date.now() + this.session.router.limits.idle
    else if (this.unsent === 0) this.exchange.clientDrained()
  }

  /** The client takes its request back, or is gone. */
  private leave(): void {
    if (this.exchange === null) return
    this.session.offend()
    this.exchange.clientClosed()
  }

  private closed(): void {
    this.gone = true
    this.session.unsent -= this.unsent
    this.unsent = 0
    this.leave()
    this.session.over(this)
  }
}
