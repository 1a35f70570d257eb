/** Every bound of the data plane, in one place; a test hands its own to the constructor. Times are milliseconds, sizes bytes. */

const KiB = 1024
const SECOND = 1000

/** Where Heroku has a figure it is Heroku's: https://devcenter.heroku.com/articles/http-routing, .../error-codes */
export const limits = {
  requestLine: 8192,
  /** One header line of a request. */
  headerLine: 8192,
  headerName: 1000,
  headers: 1000,
  method: 127,
  requestHead: 64 * KiB,
  statusLine: 8192,
  responseHead: 512 * KiB,
  setCookie: 8192,
  chunkExtension: 256,
  trailers: 8 * KiB,
  /** Input of a client that cannot be used yet; above it the client is not read. */
  requestBuffer: 64 * KiB,
  /** Response bytes that a slow client may leave with us; above it the dyno is not read. */
  responseBuffer: 1024 * KiB,

  connect: 5 * SECOND,
  /** A backend that refused a connection is the last choice this long. */
  quarantine: 5 * SECOND,
  /** H20: how long a request waits for a starting dyno. */
  boot: 75 * SECOND,
  /** H12: from the end of the request to the first byte of the response. */
  firstByte: 30 * SECOND,
  /** H15, H28: rolling, reset by each byte either way. */
  idle: 55 * SECOND,
  /** From its first byte to the end of a request's head. */
  head: 30 * SECOND,
  /** A client's connection between two requests. */
  clientIdle: 60 * SECOND,
  /** A backend's connection between two requests. */
  pooledIdle: 90 * SECOND,
  /** Requests that cannot be sent twice use no pooled connection that idled longer: the dyno may just be closing it. */
  pooledFresh: 1 * SECOND,
  pooledPerBackend: 256,
  /** After an error the client's input is read and thrown away this long, so that a reset does not eat the answer. */
  linger: 2 * SECOND,
  probe: 100,
  /** One attempt of a probe; short, because a dyno's network may just be coming up. */
  probeAttempt: 1 * SECOND,
  sweep: 1 * SECOND,
  /** How long running requests may go on after SIGTERM. */
  shutdown: 30 * SECOND,

  /** Certificates that are ready for a handshake at once. */
  secureContexts: 1000,
  /** Log lines kept while the daemon cannot take them; more are dropped and counted. */
  logQueue: 10_000,
  logBatch: 500,
  logEvery: 200,
  ping: 10 * SECOND,
  /** A daemon that is silent this long is dialled anew. */
  silence: 30 * SECOND,
  goodbye: 1 * SECOND,
  redial: 100,
  redialMost: 3 * SECOND,
}

export type Limits = typeof limits
