import { kept } from './block.ts'
import type { Client, Entrance } from './client.ts'
import { now } from './clock.ts'
import { type Conn, type Handler, writeJoined } from './conn.ts'
import { Exchange } from './exchange.ts'
import type { Fields } from './fields.ts'
import { headEnd, parseRequest, Refusal, type RequestHead, type ResponseHead } from './head.ts'
import { pageText, responseText } from './headers.ts'
import { joined } from './input.ts'
import type { Limits } from './limits.ts'
import { type Page, pageOf, refusal } from './page.ts'
import { newRequestId } from './request-id.ts'
import type { Connection, Router } from './router.ts'
import { Tunnel } from './tunnel.ts'
import type { Upstream } from './upstream.ts'

/**
 * One client's connection: one request after the other, pipelined ones too.
 *
 *   idle --first byte--> reading --head--> exchange --finished, keep--> idle
 *   reading --malformed, 30 s--> closing      exchange --finished, close--> closing --client closed, 2 s--> (gone)
 *   exchange --101--> the tunnel has the connection, until it closes
 */
export class Session implements Handler, Client, Connection {
  readonly conn: Conn
  readonly entrance: Entrance
  /** What has arrived and is not used yet. */
  input: Buffer | null = null
  clientEnded = false
  readonly trailers: Fields = []
  /** Of the request that is being answered. */
  chunks = true
  /** A response's head that waits to be written together with the first piece of its body. */
  private held = ''
  /** A response is on its way of which nothing but the close says where it ends. */
  private unframed = false
  private readonly router: Router
  private exchange: Exchange | null = null
  private scanned = 0
  /** A blank line ahead of the next request was passed over. */
  private blank = false
  private advancing = false
  private closing = false
  private paused = false
  private unsent = 0
  private deadline: number

  constructor(router: Router, entrance: Entrance, connect: (handler: Handler) => Conn) {
    this.router = router
    this.entrance = entrance
    this.conn = connect(this)
    this.deadline = now() + router.limits.clientIdle
  }

  get buffered(): number {
    return this.conn.buffered
  }

  private get idle(): boolean {
    return this.exchange === null && !this.closing
  }

  get tunnelled(): boolean {
    return this.exchange?.tunnelled === true
  }

  /** The next request waits until the client has read the answers to those before it. */
  private get stalled(): boolean {
    return this.input !== null && this.conn.buffered > this.router.limits.responseBuffer
  }

  data(chunk: Buffer): void {
    if (this.closing) return
    this.input = joined(this.input, chunk)
    this.advance()
    if (this.input !== null) this.input = kept(this.input)
  }

  drained(): void {
    if (this.exchange === null) this.advance()
    else this.exchange.clientDrained()
  }

  /** While a request waits for a backend, whoever half-closes is taken for gone: most are, and the places to wait are few. */
  ended(): void {
    this.clientEnded = true
    if (this.exchange?.waits) this.exchange.clientClosed()
    else if (this.exchange !== null) this.exchange.clientEnded()
    else if (!this.closing && !this.stalled) this.close()
  }

  closed(): void {
    this.router.sessions.delete(this)
    this.closing = true
    this.exchange?.clientClosed()
  }

  /** Uses as much of the input as can be used now. */
  advance(): void {
    if (this.advancing) return
    this.advancing = true
    while (!this.closing) {
      if (this.exchange !== null) {
        this.exchange.takeRequest()
        if (this.exchange !== null) break
      } else if (!this.nextRequest()) break
    }
    this.advancing = false
    if (this.idle && ((this.clientEnded && !this.stalled) || this.router.shut)) this.close()
    this.regulate()
  }

  consume(bytes: number): void {
    if (this.input !== null) this.input = bytes < this.input.length ? this.input.subarray(bytes) : null
  }

  /** Reads the client only as long as its bytes find room. */
  regulate(): void {
    const most = this.router.limits.requestBuffer
    const full = !this.closing && ((this.input?.length ?? 0) > most || (this.exchange?.unsent ?? 0) > most)
    if (full === this.paused) return
    this.paused = full
    if (full) this.conn.pause()
    else this.conn.resume()
  }

  inform(head: ResponseHead): void {
    this.conn.write(responseText(head, { close: false, dechunk: false }))
  }

  respond(head: ResponseHead, { close, more }: { close: boolean; more: Fields }): void {
    this.unframed = head.length === undefined || (head.length === 'chunked' && !this.chunks)
    this.held = responseText(head, { close, dechunk: !this.chunks, more })
  }

  withdraw(): boolean {
    if (this.held === '') return false
    this.held = ''
    this.unframed = false
    return true
  }

  pass(piece: Buffer | string): void {
    const text = this.held
    this.held = ''
    writeJoined(this.conn, text, piece)
  }

  flush(): void {
    if (this.held !== '') this.pass('')
  }

  complete(): void {
    this.unframed = false
  }

  answer(page: Page, how: { close: boolean; bodiless: boolean }): void {
    this.conn.write(pageText(page, how))
  }

  upgrade(
    head: ResponseHead,
    upstream: Upstream,
    limits: Limits,
    over: (bytes: number, idle: boolean) => void,
  ): Tunnel {
    this.conn.write(responseText(head, { close: false, dechunk: false }))
    return new Tunnel(this, upstream, limits, over)
  }

  destroy(): void {
    this.conn.destroy()
  }

  finished(keep: boolean): void {
    this.exchange = null
    this.unsent = this.conn.buffered
    this.deadline = now() + this.router.limits.clientIdle
    if (keep) this.advance()
    else this.close()
  }

  /**
   * Half-closes and throws away what still comes, so that the last answer reaches the client before any reset. One that has broken off, and
   * would look whole by that, gets the reset.
   */
  close(): void {
    this.closing = true
    this.input = null
    this.unsent = this.conn.buffered
    this.deadline = now() + this.router.limits.linger
    if (this.unframed) this.conn.reset()
    else this.conn.end()
    this.regulate()
  }

  sweep(now: number): void {
    if (this.exchange !== null) return this.exchange.sweep(now)
    if (now < this.deadline) return
    const left = this.conn.buffered
    if ((this.closing || this.stalled) && left < this.unsent) {
      this.unsent = left
      this.deadline = now + this.router.limits.idle
    } else if (!this.closing && !this.stalled && this.input !== null)
      this.refuse(new Refusal(408, 'it did not end in time'))
    else this.conn.destroy()
  }

  /** An HTTP/1 client may just be sending one. */
  retire(): void {
    if (this.idle && this.router.shut) this.close()
  }

  forceClose(): void {
    this.exchange?.forceClose()
    this.conn.destroy()
  }

  /** True when a request began. */
  private nextRequest(): boolean {
    if (this.stalled) return false
    if (this.scanned === 0) this.passBlank()
    if (this.input === null) return false
    const { limits } = this.router
    if (this.scanned === 0) this.deadline = now() + limits.head
    if (this.input.length === 1 && this.input[0] === 13) return false
    const end = headEnd(this.input, this.scanned)
    this.scanned = this.input.length
    if (end === -1 && this.input.length <= limits.requestHead) return false
    this.scanned = 0
    try {
      if (end === -2) throw new Refusal(400, 'a line ends without a carriage return')
      if (end === -1 || end > limits.requestHead) throw new Refusal(431, 'its head is too large')
      const head = parseRequest(this.input.toString('latin1', 0, end), limits)
      this.consume(end)
      this.begin(head)
      return true
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      this.refuse(error)
      return false
    }
  }

  /** One blank line ahead of a request is passed over (RFC 9112 2.2), however it is cut. */
  private passBlank(): void {
    if (this.blank || this.input?.[0] !== 13 || this.input[1] !== 10) return
    this.blank = true
    this.consume(2)
  }

  private begin(head: RequestHead): void {
    this.blank = false
    this.chunks = head.minor === 1
    this.exchange = new Exchange(this.router, this, head)
    this.exchange.start()
  }

  private refuse({ status, message }: Refusal): void {
    const page = pageOf(refusal(status, message), { html: false, requestId: newRequestId() })
    this.answer(page, { close: true, bodiless: false })
    this.close()
  }
}
