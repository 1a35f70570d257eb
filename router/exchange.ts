import { randomUUID } from 'node:crypto'
import { binding, boundTo } from './affinity.ts'
import { type Backend, pick } from './backend.ts'
import { type Body, createBody } from './body.ts'
import type { Client } from './client.ts'
import { writeJoined } from './conn.ts'
import { BadResponse, type RequestHead, type ResponseHead } from './head.ts'
import { field, forwarded, givenRequestId, requestText } from './headers.ts'
import { formatAccount } from './line.ts'
import { type Answer, answerTo, type Code, noSuchApp, pageOf, problem } from './page.ts'
import { Response } from './response.ts'
import type { App, Router } from './router.ts'
import type { Tunnel } from './tunnel.ts'
import type { Upstream, User } from './upstream.ts'

/**
 * One request and its response.
 *
 *   choosing --no backend yet--> waiting --new table--> choosing          waiting --75 s--> H20
 *   choosing --backend--> connecting --connected--> sent                  connecting --failed--> choosing (another), H19, H21
 *   sent --end of response--> done                                        sent --closed--> H13, H18, or once more choosing
 *   sent --101--> tunnel --closed--> done                                 sent --silent--> H12, H15, H28
 *   choosing --no backend--> H10, H14, H80, H81                           anything --client gone--> H27
 *
 * The body of the request flows in `sent`, and so does the response (response.ts). Every end goes through `settle`, once.
 */
export class Exchange implements User {
  private state: 'choosing' | 'waiting' | 'connecting' | 'sent' | 'tunnel' | 'done' = 'choosing'
  private readonly router: Router
  private readonly client: Client
  private readonly head: RequestHead
  private readonly requestId: string
  private readonly begunAt = Date.now()
  private readonly body: Body
  private readonly response: Response
  private deadline = 0

  private app: App | undefined
  private backend: Backend | null = null
  private upstream: Upstream | null = null
  private readonly tried: Backend[] = []
  private timedOut = false
  private again = false
  private connectStarted = 0
  private connectTook: number | undefined
  private reached = false

  /** Bytes of the request's body that are used up. */
  private taken = 0
  private continued = false
  /** The head on its way to the backend, written together with the first piece of the body. */
  private text = ''
  private tunnel: Tunnel | null = null

  constructor(router: Router, client: Client, head: RequestHead) {
    this.router = router
    this.client = client
    this.head = head
    this.body = createBody(head.body, router.limits)
    this.response = new Response(head, client, router.limits)
    this.requestId = givenRequestId(head) ?? randomUUID()
  }

  /** Bytes of the request that the backend has not taken. */
  get unsent(): number {
    return this.upstream?.conn.buffered ?? 0
  }

  private get bodyOpen(): boolean {
    return this.body.state === 'more'
  }

  /** The client's connection must end with the response. */
  private get last(): boolean {
    return !this.head.keepAlive || this.body.state !== 'done' || this.router.closing
  }

  /** Finds who answers; called again when a backend could not be reached and when there is a new table. */
  start(): void {
    this.app = this.router.find(this.head.hostname)
    if (this.app === undefined) return this.answer(noSuchApp)
    if (this.app.route.maintenance) return this.fail('H80')
    const backend = this.choose(this.app)
    if (backend !== undefined) return this.connect(backend)
    if (this.app.serving.length > 0) return this.fail(this.timedOut ? 'H19' : 'H21')
    switch (this.app.route.empty) {
      case 'blank':
        return this.fail('H81')
      case 'none':
        return this.fail('H14')
      case 'crashed':
        return this.fail('H10')
      case 'starting':
        return this.wait()
      default:
        return this.app.route.empty satisfies never
    }
  }

  private choose({ route, serving }: App): Backend | undefined {
    const now = Date.now()
    if (route.affinity !== true) return pick(serving, this.tried, now)
    const backend = boundTo(this.head.fields, serving, this.tried, now) ?? pick(serving, this.tried, now)
    const secure = this.client.entrance.proto === 'https'
    if (backend !== undefined) this.response.more = binding(this.head.fields, backend, secure)
    return backend
  }

  private wait(): void {
    this.state = 'waiting'
    this.deadline = this.begunAt + this.router.limits.boot
    this.router.waiting.add(this)
  }

  private connect(backend: Backend): void {
    const { limits } = this.router
    const now = Date.now()
    this.state = 'connecting'
    this.deadline = now + limits.connect
    this.connectStarted = now
    this.backend = backend
    backend.users.add(this)
    const since = this.again ? Number.POSITIVE_INFINITY : this.head.body === 0 ? 0 : now - limits.pooledFresh
    this.upstream = backend.connection(this, since)
    if (this.upstream.pooled) this.connected()
  }

  connected(): void {
    this.connectTook = Date.now() - this.connectStarted
    this.reached = true
    this.state = 'sent'
    this.text = requestText(this.head, { ...this.client.entrance, at: this.begunAt, requestId: this.requestId })
    this.touch()
    this.takeRequest()
    this.send('')
    this.sayContinue()
    this.client.regulate()
  }

  connectFailed(): void {
    this.upstream = null
    if (this.backend === null || this.state !== 'connecting') return
    this.backend.quarantinedUntil = Date.now() + this.router.limits.quarantine
    this.tried.push(this.backend)
    this.connectTook = Date.now() - this.connectStarted
    this.backend.leave(this, 'failed')
    this.state = 'choosing'
    this.start()
  }

  /** The router speaks for the dyno, as Heroku's does; a client that sends its body anyway needs no leave. */
  private sayContinue(): void {
    if (!this.head.expectsContinue || this.continued || this.state !== 'sent') return
    if (!this.bodyOpen || this.taken > 0) return
    this.continued = true
    this.client.inform(CONTINUE)
  }

  /** Uses what the client has sent of the body. */
  takeRequest(): void {
    const { input } = this.client
    if (this.state !== 'sent' || !this.bodyOpen) return
    if (input !== null) {
      const used = this.body.feed(input, (piece) => this.send(piece))
      this.client.consume(used)
      this.taken += used
      this.touch()
    }
    if (this.body.state === 'bad') return this.fail('H26', 'bad chunk')
    if (!this.client.clientEnded || !this.bodyOpen) return
    this.body.end([], (piece) => this.send(piece))
    if (this.bodyOpen) this.fail('H27')
  }

  private send(piece: Buffer | string): void {
    const text = this.text
    this.text = ''
    if (this.upstream !== null) writeJoined(this.upstream.conn, text, piece)
  }

  /** Something moved: the next byte may take as long again. */
  private touch(): void {
    const { firstByte, idle } = this.router.limits
    this.deadline = Date.now() + (this.response.state === 'awaited' && !this.bodyOpen ? firstByte : idle)
  }

  responded(): void {
    const { upstream, response } = this
    if (upstream === null || this.state !== 'sent') return
    try {
      response.take(upstream, this.last)
    } catch (error) {
      if (!(error instanceof BadResponse)) throw error
      return this.fail(error.code, error.message)
    }
    if (response.state === 'done') return this.settle(null)
    if (response.switching !== null) return this.openTunnel(upstream, response.switching)
    if (response.state === 'relayed') this.touch()
    if (this.client.buffered > this.router.limits.responseBuffer) upstream.conn.pause()
  }

  private openTunnel(upstream: Upstream, head: ResponseHead): void {
    this.state = 'tunnel'
    this.tunnel = this.client.upgrade(head, upstream, (bytes, idle) => {
      this.response.bytes = bytes
      this.settle(idle ? 'H15' : null)
    })
    this.tunnel.open()
  }

  clientDrained(): void {
    if (this.response.state === 'relayed') this.touch()
    this.upstream?.conn.resume()
  }

  backendDrained(): void {
    this.touch()
    this.client.regulate()
  }

  /** A client may half-close and wait for its answer, but not in the middle of its request. */
  clientEnded(): void {
    this.takeRequest()
  }

  clientClosed(): void {
    this.fail('H27')
  }

  backendEnded(): void {
    if (this.state === 'sent' && this.response.state === 'relayed' && this.response.untilClose) this.settle(null)
    else this.backendClosed()
  }

  /** A pooled connection that the dyno closed while the request was on its way: no byte came back, so it is sent once more. */
  backendClosed(): void {
    const { upstream, response } = this
    if (this.state !== 'sent' || upstream === null) return
    if (response.state !== 'awaited' || upstream.input !== null) return this.fail('H18')
    if (!upstream.pooled || this.taken > 0) return this.fail('H13')
    upstream.drop()
    this.upstream = null
    this.backend?.leave(this, 'failed')
    this.again = true
    this.state = 'choosing'
    this.start()
  }

  cut(): void {
    this.tunnel?.cut()
  }

  sweep(now: number): void {
    if (this.tunnel !== null) return this.tunnel.sweep(now)
    if (now < this.deadline) return
    switch (this.state) {
      case 'waiting':
        return this.fail('H20')
      case 'connecting':
        this.timedOut = true
        return this.upstream?.conn.destroy()
      case 'sent':
        return this.fail(this.silent())
      case 'choosing':
      case 'tunnel':
      case 'done':
        return
      default:
        return this.state satisfies never
    }
  }

  private silent(): Code {
    if (this.response.state === 'awaited') return this.bodyOpen ? 'H28' : 'H12'
    return this.client.buffered > 0 ? 'H28' : 'H15'
  }

  forceClose(): void {
    this.cut()
    this.fail('H24')
  }

  /** Ends it with one of Heroku's codes: by its page when the client can still be told, else by cutting the connection. */
  private fail(code: Code, cause = ''): void {
    if (this.state === 'done') return
    const begun = this.state === 'tunnel' || (this.response.state !== 'awaited' && !this.client.withdraw())
    if (begun || problem(code).sock === 'client') {
      this.response.status = problem(code).status
      this.response.close = true
      this.settle(code, cause)
      return this.client.destroy()
    }
    this.answer(answerTo(code, cause), code, cause)
  }

  private answer(answer: Answer, code: Code | null = null, cause = ''): void {
    const { response, head, requestId, last } = this
    const html = field(head.fields, 'accept')?.includes('text/html') === true
    response.status = answer.status
    response.close = last
    response.reusable = false
    this.client.answer(pageOf(answer, { html, requestId }), { close: last, bodiless: head.method === 'HEAD' })
    this.settle(code, cause)
  }

  /** The only end: accounts for the request, gives the backend's connection back or closes it, and lets the session go on. */
  private settle(code: Code | null, cause = ''): void {
    if (this.state === 'done') return
    const tunnelled = this.state === 'tunnel'
    this.state = 'done'
    this.router.waiting.delete(this)
    this.account(code, cause)
    if (!tunnelled) this.freeUpstream()
    this.backend?.leave(this, code !== null ? 'failed' : this.tunnel?.wasCut ? 'cut' : 'finished')
    if (!tunnelled) this.client.finished(!this.response.close)
  }

  private freeUpstream(): void {
    const { upstream, response } = this
    this.upstream = null
    if (upstream === null) return
    const clean = this.body.state === 'done' && response.state === 'done' && upstream.input === null
    if (clean && response.reusable && !upstream.conn.dead) upstream.backend.giveBack(upstream)
    else upstream.drop()
  }

  private account(code: Code | null, cause: string): void {
    if (this.app === undefined) return
    const { head, client, response, requestId } = this
    const now = Date.now()
    const text = formatAccount({
      code,
      cause,
      method: head.method,
      path: head.target,
      host: head.hostname,
      requestId,
      forwarded: forwarded(head.fields, client.entrance.client),
      dyno: this.backend?.dyno ?? '',
      connect: this.connectTook,
      service: this.reached ? now - this.connectStarted : undefined,
      status: response.status,
      bytes: response.bytes,
      minor: head.minor,
      tls: client.entrance.tls,
    })
    this.router.events.line({ app: this.app.route.id, at: now, text })
  }
}

const CONTINUE: ResponseHead = {
  ...{ status: 100, reason: 'Continue', minor: 1, fields: [], keepAlive: true },
  ...{ connection: [], length: undefined, upgrade: '' },
}
