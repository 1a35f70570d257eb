import { type Body, createBody } from './body.ts'
import type { Client } from './client.ts'
import type { Fields } from './fields.ts'
import { BadResponse, headEnd, parseResponse, type RequestHead, type ResponseHead } from './head.ts'
import { strictTransport } from './hsts.ts'
import type { Limits } from './limits.ts'
import type { Upstream } from './upstream.ts'

/**
 * What comes back for one request, checked and passed on.
 *
 *   awaited --1xx--> awaited      awaited --final head--> relayed --end of body--> done      awaited --101--> upgraded
 */
export class Response {
  state: 'awaited' | 'relayed' | 'done' | 'upgraded' = 'awaited'
  status = 0
  /** Bytes of the body that went to the client. */
  bytes = 0
  /** The client's connection ends after this response. */
  close = false
  /** The backend's connection can take another request. */
  reusable = false
  /** The backend's half-close is this body's proper end. */
  untilClose = false
  /** Fields of ours for the client. */
  more: Fields = []
  /** The dyno is asked for the leave to send the body (Heroku's http-end-to-end-continue), and its answer is passed on, once. */
  passContinue = false
  continued = false
  /** max-age of Strict-Transport-Security, seconds, where the dyno does not say its own. */
  hsts: number | undefined
  /** What the dyno switches to another protocol with. */
  switching: ResponseHead | null = null
  private body: Body | null = null
  private scanned = 0
  private informational = 0
  private readonly request: RequestHead
  private readonly client: Client
  private readonly limits: Limits

  constructor(request: RequestHead, client: Client, limits: Limits) {
    this.request = request
    this.client = client
    this.limits = limits
  }

  /** Uses what the backend has sent; throws BadResponse. `last`: the client's connection must end with this response. */
  take(upstream: Upstream, last: boolean): void {
    while (this.state === 'awaited' && upstream.input !== null)
      if (!this.takeHead(upstream, upstream.input, last)) return
    const { body } = this
    if (this.state !== 'relayed' || body === null) return
    if (upstream.input !== null && body.state === 'more')
      upstream.consume(body.feed(upstream.input, (piece) => this.pass(piece)))
    if (bad(body)) throw new BadResponse('H17', 'bad chunk')
    this.client.flush()
    if (body.state !== 'done') return
    this.state = 'done'
    this.client.complete(body.trailers)
  }

  /** False when there is no whole head yet. */
  private takeHead(upstream: Upstream, input: Buffer, last: boolean): boolean {
    const end = headEnd(input, this.scanned)
    this.scanned = end === -1 ? input.length : 0
    if (end === -2) throw new BadResponse('H17', 'a line ends without a carriage return')
    if (end > this.limits.responseHead || (end === -1 && input.length > this.limits.responseHead))
      throw new BadResponse('H25', 'oversized header')
    if (end === -1) return false
    const head = parseResponse(input.toString('latin1', 0, end), this.limits)
    upstream.consume(end)
    if (head.status >= 200) this.begin(head, last)
    else if (head.status === 101) this.upgrade(head, last)
    else if (++this.informational > this.limits.informational)
      throw new BadResponse('H17', 'too many informational responses')
    else if (head.status === 100) this.leave()
    else if (this.request.minor === 1) this.client.inform(head)
    return true
  }

  /** The leave to send the body. What else the dyno says in it stays here; a second one could be taken for a part of the next answer. */
  private leave(): void {
    if (!this.passContinue) return
    if (this.continued) throw new BadResponse('H17', 'more than one 100 response')
    this.continued = true
    this.client.inform(CONTINUE)
  }

  private begin(head: ResponseHead, last: boolean): void {
    const bodiless = this.request.method === 'HEAD' || head.status === 204 || head.status === 304
    const length = bodiless ? 0 : (head.length ?? 'close')
    const decode = !this.client.chunks && head.length === 'chunked'
    this.state = 'relayed'
    this.status = head.status
    this.untilClose = length === 'close'
    // Behind an upgrade that it was asked for, a dyno may take what comes for another protocol.
    this.reusable = head.keepAlive && !this.untilClose && this.request.upgrade === ''
    this.close = last || this.untilClose || (this.request.minor === 0 && decode && !bodiless)
    this.body = createBody(length, this.limits, decode)
    // the list of fields is made for those who need it
    const more = this.hsts === undefined ? this.more : [...this.more, ...strictTransport(head.fields, this.hsts)]
    this.client.respond(head, { close: this.close, more })
  }

  private upgrade(head: ResponseHead, last: boolean): void {
    if (this.request.upgrade === '' || last) throw new BadResponse('H25', 'upgrade that nobody asked for')
    this.state = 'upgraded'
    this.status = 101
    head.upgrade ||= this.request.upgrade
    this.switching = head
  }

  private pass(piece: Buffer | string): void {
    this.bytes += piece.length
    this.client.pass(piece)
  }
}

export const CONTINUE: ResponseHead = {
  ...{ status: 100, reason: 'Continue', minor: 1, fields: [], keepAlive: true },
  ...{ connection: [], length: undefined, upgrade: '' },
}

/** A function, because the compiler does not know that `feed` changes the state. */
const bad = (body: Body): boolean => body.state === 'bad'
