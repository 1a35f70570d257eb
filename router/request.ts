import { type Body, createBody } from './body.ts'
import type { Client } from './client.ts'
import { type Conn, writeJoined } from './conn.ts'
import type { RequestHead } from './head.ts'
import type { Limits } from './limits.ts'
import { Pace } from './pace.ts'

/** What goes to the dyno of one request, once there is a connection to it: the head, and the body as it comes. */
export class Request {
  /** Bytes of the body that are used up. */
  taken = 0
  private readonly client: Client
  private readonly body: Body
  private pace: Pace | null = null
  private to: Conn | null = null
  /** The head on its way to the dyno, written together with the first piece of the body. */
  private text = ''

  constructor(head: RequestHead, client: Client, limits: Limits) {
    this.client = client
    this.body = createBody(head.body, limits)
  }

  /** More of the body is to come. */
  get open(): boolean {
    return this.body.state === 'more'
  }

  /** The body has come to its proper end. */
  get whole(): boolean {
    return this.body.state === 'done'
  }

  /** Sends the head, with what there is of the body; see `take`. */
  begin(to: Conn, text: string): 'H26' | 'H27' | null {
    this.to = to
    this.text = text
    const broken = this.take()
    if (broken === null) this.send('')
    return broken
  }

  /** Sends what the client has sent; the code of Heroku's when the body is broken. */
  take(): 'H26' | 'H27' | null {
    if (!this.open) return null
    const { input } = this.client
    if (input !== null) {
      const used = this.body.feed(input, (piece) => this.send(piece))
      this.client.consume(used)
      this.taken += used
    }
    if (this.body.state === 'bad') return 'H26'
    if (!this.client.clientEnded || !this.open) return null
    this.body.end(this.client.trailers, (piece) => this.send(piece))
    return this.open ? 'H27' : null
  }

  /** True when the body comes more slowly than it may. To be asked again and again; `sending`: it is the client whom we wait for. */
  trickles(now: number, sending: boolean, limits: Limits): boolean {
    this.pace ??= new Pace()
    return this.pace.isTooSlow(now, sending ? this.taken : null, limits)
  }

  private send(piece: Buffer | string): void {
    const { text } = this
    this.text = ''
    if (this.to !== null) writeJoined(this.to, text, piece)
  }
}
