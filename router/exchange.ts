import { pageAhead } from './ahead.ts'
import type { Backend } from './backend.ts'
import type { Waiter } from './backlog.ts'
import type { Client } from './client.ts'
import { now } from './clock.ts'
import { added, IDEMPOTENT, isRepeatable, passesContinue } from './feature.ts'
import { acceptsWebSocket } from './frames.ts'
import { BadResponse, type RequestHead, type ResponseHead } from './head.ts'
import { field, forwarded, givenRequestId, requestText } from './headers.ts'
import { strictTransport } from './hsts.ts'
import { misdirected } from './misdirection.ts'
import { type Answer, answerTo, type Code, formOf, noSuchApp, type Page, pageOf, problem } from './page.ts'
import { Request } from './request.ts'
import { newRequestId } from './request-id.ts'
import { CONTINUE, Response } from './response.ts'
import type { App, Router } from './router.ts'
import { Search } from './search.ts'
import type { Tunnel } from './tunnel.ts'
import type { Upstream, User } from './upstream.ts'

/**
 * One request and its response.
 *
 *   choosing --no backend yet, all refuse--> waiting        waiting --new table, one accepts--> choosing
 *   choosing --backend--> connecting --connected--> sent     waiting --time is over--> H10, H19, H20, H21, H99
 *   connecting --failed--> choosing (another)                choosing --no backend--> H10, H14, H19, H21, H80, H81
 *   sent --end of response--> done                           choosing --too many--> H11, H22
 *   sent --101--> tunnel --closed--> done                    sent --closed--> H13, H18, or once more choosing
 *   anything --client gone--> H27                            sent --silent--> H12, H15, H28
 *
 * search.ts decides what choosing leads to. Both bodies flow in `sent` (request.ts, response.ts). Every end goes through `settle`, once.
 */
export class Exchange implements User, Waiter {
  seat = -1
  private state: 'choosing' | 'waiting' | 'connecting' | 'sent' | 'tunnel' | 'done' = 'choosing'
  private readonly router: Router
  private readonly client: Client
  private readonly head: RequestHead
  private readonly requestId: string
  private readonly begunAt = now()
  private readonly search: Search
  private readonly request: Request
  private readonly response: Response
  private limits: Router['limits']
  private deadline = 0
  /** Bytes that waited for the slower side when it was last looked at. */
  private left = 0

  private app: App | undefined
  /** What it ends with when it has waited long enough. */
  private otherwise: Code = 'H99'
  private backend: Backend | null = null
  private upstream: Upstream | null = null
  private timedOut = false
  private again = false
  private connectStarted = 0
  private connectTook: number | undefined
  private reached = false

  private continued = false
  private tunnel: Tunnel | null = null

  constructor(router: Router, client: Client, head: RequestHead) {
    this.router = router
    this.client = client
    this.head = head
    this.limits = router.limits
    this.search = new Search(router, { head, secure: this.secure, begunAt: this.begunAt }, this)
    this.request = new Request(head, client, router.limits)
    this.response = new Response(head, client, router.limits)
    this.requestId = givenRequestId(head) ?? newRequestId()
  }

  get tunnelled(): boolean {
    return this.state === 'tunnel'
  }

  /** Bytes of the request that the backend has not taken. */
  get unsent(): number {
    return this.upstream?.conn.buffered ?? 0
  }

  /** Nobody is there yet to answer it. */
  get waits(): boolean {
    return this.state === 'waiting'
  }

  /** The client's connection must end with the response; a closing router ends a tunnel in its own time. */
  private get last(): boolean {
    return !this.head.keepAlive || !this.request.whole || (this.router.closing && this.head.upgrade === '')
  }

  /** Finds who answers; called again when a backend could not be reached and when there may be another. */
  start(): void {
    const app = this.router.find(this.head.hostname)
    this.app = app
    if (app?.route.platform !== undefined) this.limits = this.router.patient
    this.response.hsts = this.secure ? app?.route.hsts : undefined
    const ahead = pageAhead(this.router, app, { head: this.head, secure: this.secure })
    if (ahead !== undefined) return this.reply(ahead)
    if (app === undefined) return this.answer(noSuchApp)
    if (misdirected(this.router, this.client.entrance, this.head.hostname)) return this.fail('H31')
    const found = this.search.in(app)
    switch (found.kind) {
      case 'backend':
        this.response.more = found.more
        return this.connect(found.backend)
      case 'wait':
        this.state = 'waiting'
        this.deadline = found.until
        this.otherwise = found.otherwise
        return
      case 'nobody':
        return this.fail(found.code)
      default:
        return found satisfies never
    }
  }

  retry(): void {
    if (this.state !== 'waiting') return
    this.state = 'choosing'
    this.search.anew()
    this.start()
  }

  private get secure(): boolean {
    return this.client.entrance.proto === 'https'
  }

  private connect(backend: Backend): void {
    const { limits } = this.router
    const time = now()
    this.state = 'connecting'
    this.deadline = time + limits.connect
    this.timedOut = false
    this.connectStarted = time
    this.backend = backend
    backend.users.add(this)
    const alone = this.again || this.app?.route.fresh === true
    const since = alone ? Number.POSITIVE_INFINITY : isRepeatable(this.head) ? 0 : time - limits.pooledFresh
    this.upstream = backend.connection(this, since)
    if (this.upstream.pooled) this.connected()
  }

  connected(): void {
    this.connectTook = now() - this.connectStarted
    this.reached = true
    this.state = 'sent'
    this.search.reached()
    const arrival = { at: this.begunAt, requestId: this.requestId }
    const text = requestText(this.head, this.client.entrance, arrival, added(this.head, this.app?.route))
    this.response.passContinue = passesContinue(this.head, this.app?.route)
    if (this.upstream !== null) this.flowed(this.request.begin(this.upstream.conn, text))
    this.sayContinue()
    this.client.regulate()
  }

  connectFailed(): void {
    this.upstream = null
    if (this.backend === null || this.state !== 'connecting') return
    this.search.failed(this.backend, this.timedOut)
    this.connectTook = now() - this.connectStarted
    this.backend.leave(this, 'moved')
    this.state = 'choosing'
    this.start()
  }

  /** The router speaks for the dyno, as Heroku's does; a client that sends its body anyway needs no leave. */
  private sayContinue(): void {
    if (!this.head.expectsContinue || this.response.passContinue || this.continued || this.state !== 'sent') return
    if (!this.request.open || this.request.taken > 0) return
    this.continued = true
    this.client.inform(CONTINUE)
  }

  /** Uses what the client has sent of the body. */
  takeRequest(): void {
    if (this.state === 'sent' && this.request.open) this.flowed(this.request.take())
  }

  private flowed(broken: 'H26' | 'H27' | null): void {
    if (broken !== null) this.fail(broken, broken === 'H26' ? 'bad chunk' : '')
    else this.touch()
  }

  /** Something moved: the next byte may take as long again. */
  private touch(): void {
    const { firstByte, idle } = this.limits
    this.deadline = now() + (this.awaitsDyno ? firstByte : idle)
  }

  /** Some of what waits for the slower side has left: it takes it, if not as fast as it comes. */
  private get ebbs(): boolean {
    const before = this.left
    this.left = this.response.state === 'relayed' ? this.client.buffered : this.unsent
    return this.left < before
  }

  /** It is the dyno's turn: the whole request is with it, or the client waits for its leave to send the body. */
  private get awaitsDyno(): boolean {
    if (this.response.state !== 'awaited') return false
    return !this.request.open || (this.response.passContinue && !this.response.continued && this.request.taken === 0)
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
    if (response.state === 'relayed' || response.continued) this.touch()
    if (this.client.buffered > this.router.limits.responseBuffer) upstream.conn.pause()
  }

  private openTunnel(upstream: Upstream, head: ResponseHead): void {
    this.state = 'tunnel'
    this.search.leave()
    this.backend?.quarantine.answered()
    this.tunnel = this.client.upgrade(head, upstream, this.limits, (bytes, idle) => {
      this.response.bytes = bytes
      this.settle(idle ? 'H15' : null)
    })
    this.tunnel.open(acceptsWebSocket(head))
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
    if (this.state !== 'sent' || this.response.state !== 'relayed' || !this.response.untilClose)
      return this.backendClosed()
    this.client.complete([])
    this.settle(null)
  }

  /**
   * A pooled connection that the dyno closed while the request was on its way. No byte came back, so it is sent once more, but only when
   * it may be done twice: nobody knows how far the dyno has come.
   */
  backendClosed(): void {
    const { upstream, response } = this
    if (this.state !== 'sent' || upstream === null) return
    if (response.state !== 'awaited' || upstream.input !== null) return this.fail('H18')
    if (!upstream.pooled || this.request.taken > 0 || !IDEMPOTENT.has(this.head.method)) return this.fail('H13')
    upstream.drop()
    this.upstream = null
    this.backend?.leave(this, 'moved')
    this.again = true
    this.state = 'choosing'
    this.start()
  }

  /** A backend that has left the table and does not accept will not: another is looked for at once. */
  gone(): void {
    if (this.state === 'connecting') this.upstream?.conn.destroy()
  }

  sweep(now: number): void {
    if (this.tunnel !== null) return this.tunnel.sweep(now)
    if (this.state === 'sent' && this.ebbs) this.touch()
    const sending = this.state === 'sent' && this.response.state === 'awaited' && !this.awaitsDyno && this.unsent === 0
    if (this.request.trickles(now, sending, this.limits)) return this.fail('H28')
    if (now < this.deadline) return
    switch (this.state) {
      case 'waiting':
        return this.fail(this.otherwise)
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
    if (this.response.state === 'awaited') return this.awaitsDyno ? 'H12' : 'H28'
    return this.client.buffered > 0 ? 'H28' : 'H15'
  }

  forceClose(): void {
    if (this.tunnel !== null) this.response.bytes = this.tunnel.bytes
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
    this.answer(answerTo(code, cause, this.app?.route), code, cause)
  }

  private answer(answer: Answer, code: Code | null = null, cause = ''): void {
    const form = formOf(code, this.app?.route, field(this.head.fields, 'accept'))
    this.reply(pageOf(answer, { ...form, requestId: this.requestId }), code, cause)
  }

  private reply(page: Page, code: Code | null = null, cause = ''): void {
    const { response, head, last } = this
    response.status = page.status
    response.close = last
    response.reusable = false
    if (code === null && head.method !== 'HEAD') response.bytes = page.body.length
    const fields = [...page.fields, ...strictTransport(page.fields, response.hsts)]
    this.client.answer({ ...page, fields }, { close: last, bodiless: head.method === 'HEAD' })
    this.settle(code, cause)
  }

  /** The only end: accounts for the request, gives the backend's connection back or closes it, and lets the session go on. */
  private settle(code: Code | null, cause = ''): void {
    if (this.state === 'done') return
    const tunnelled = this.state === 'tunnel'
    this.state = 'done'
    this.search.leave()
    this.account(code, cause)
    if (!tunnelled) {
      this.judge(code)
      this.freeUpstream()
    }
    this.backend?.leave(this, this.outcome(code))
    if (!tunnelled) this.client.finished(!this.response.close)
  }

  private judge(code: Code | null): void {
    if (code === null) this.backend?.quarantine.answered()
    else if (code === 'H13' || code === 'H18') this.backend?.quarantine.broke(now())
  }

  /** For the backend's receipt: who goes by himself, or is silent in a tunnel, is not failed by us. */
  private outcome(code: Code | null): 'finished' | 'cut' | 'failed' {
    if (this.tunnel !== null && code !== 'H24') return this.tunnel.outcome
    return code === null || problem(code).sock === 'client' ? 'finished' : 'failed'
  }

  private freeUpstream(): void {
    const { upstream, response } = this
    this.upstream = null
    if (upstream === null) return
    const clean = this.request.whole && response.state === 'done' && upstream.input === null
    if (clean && response.reusable && !upstream.conn.dead && this.app?.route.fresh !== true)
      upstream.backend.giveBack(upstream)
    else upstream.drop()
  }

  private account(code: Code | null, cause: string): void {
    if (this.app === undefined) return
    const { head, client, response, requestId } = this
    const at = now()
    const account = {
      code,
      cause,
      ...{ method: head.method, path: head.target, host: head.hostname, requestId },
      forwarded: forwarded(head, client.entrance.client),
      dyno: this.backend?.dyno ?? '',
      connect: this.connectTook,
      service: this.reached ? at - this.connectStarted : undefined,
      status: response.status,
      bytes: response.bytes,
      minor: head.minor,
      http2: client.entrance.http2,
      tls: client.entrance.tls,
      agent: code === 'H31' ? field(head.fields, 'user-agent') : undefined,
    }
    this.router.account(this.app.route, { at, took: at - this.begunAt, account })
  }
}
