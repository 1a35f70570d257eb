import type { Fields } from './fields.ts'
import type { ResponseHead } from './head.ts'
import type { Limits } from './limits.ts'
import type { Page } from './page.ts'
import type { Tunnel } from './tunnel.ts'
import type { Upstream } from './upstream.ts'

/** Where a client came in. */
export interface Entrance {
  client: string
  proto: 'http' | 'https'
  port: number
  /** `unknown` or such as `tls1.3`. */
  tls: string
  http2?: boolean
  /** The name that TLS was asked for, and the id of the certificate that is bound to it, null for the platform's own. */
  asked?: { name: string; certificate: string | null }
}

/** Who asks, as an exchange sees it: what carries the request and takes its response. An HTTP/1 connection is one (session.ts). */
export interface Client {
  readonly entrance: Entrance
  /** Takes the frames of a chunked body as they come; else it gets the data, and the trailers when it is complete. */
  readonly chunks: boolean
  /** What has arrived behind the request's head and is not used yet. */
  readonly input: Buffer | null
  /** Nothing comes behind the input. */
  readonly clientEnded: boolean
  /** Of a body that its carrier has ended. */
  readonly trailers: Fields
  /** Bytes of the response that have not left. */
  readonly buffered: number
  consume(bytes: number): void
  /** Reads the client only as long as its bytes find room; called when the exchange's `unsent` may have changed. */
  regulate(): void
  /** An informational response; `100` too. */
  inform(head: ResponseHead): void
  /** The final head. It waits for the first piece of the body, or `flush`. Throws BadResponse when it cannot be told. */
  respond(head: ResponseHead, how: { close: boolean; more: Fields }): void
  /** Takes the final head back; false when it is on its way. */
  withdraw(): boolean
  pass(piece: Buffer | string): void
  /** What was passed may leave now. */
  flush(): void
  /** The body has come to its proper end. */
  complete(trailers: Fields): void
  /** A whole response of ours. */
  answer(page: Page, how: { close: boolean; bodiless: boolean }): void
  /** Answers 101 and joins the two connections; `over` is called once, with the bytes that went to the client. */
  upgrade(head: ResponseHead, upstream: Upstream, limits: Limits, over: (bytes: number, idle: boolean) => void): Tunnel
  /** The exchange has ended; `keep`: another request may follow. */
  finished(keep: boolean): void
  /** Breaks the response off, so that it never looks complete. */
  destroy(): void
}
