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
  /** Names in `Connection`, which every field is compared with. */
  connectionNames: 100,
  method: 127,
  requestHead: 64 * KiB,
  statusLine: 8192,
  responseHead: 512 * KiB,
  setCookie: 8192,
  /** 1xx before a final response. */
  informational: 32,
  /** Of one chunk, and of a body above the data that came with them. */
  chunkExtension: 256,
  chunkExtensions: 16 * KiB,
  trailers: 8 * KiB,
  /** Input of a client that cannot be used yet; above it the client is not read. */
  requestBuffer: 64 * KiB,
  /** Response bytes that a slow client may leave with us; above it the dyno is not read. */
  responseBuffer: 1024 * KiB,

  /** Clients' connections of one worker at once; more are closed as they come. */
  connections: 50_000,
  /** The same from one client: an IPv4 address, or an IPv6 /64; this machine itself is not bounded. */
  connectionsPerAddress: 1000,
  /** From a load balancer: longest PROXY header, and how long it may take. */
  proxyHeader: 4 * KiB,
  proxyHeaderTime: 5 * SECOND,
  /** Requests at once over one HTTP/2 connection. */
  streams: 100,
  /** Requests that an HTTP/2 client may take back or get refused: so many at once, and then so many a second (CVE-2023-44487). */
  resets: 200,
  resetsPerSecond: 20,
  /** SETTINGS and PING frames of an HTTP/2 client, likewise. */
  controlFrames: 500,
  controlFramesPerSecond: 50,

  connect: 5 * SECOND,
  /** H19, H21: backends that one request tries at most. */
  attempts: 10,
  /** A backend that refused a connection is out of the choice this long, then twice as long each time. */
  quarantineFirst: 1 * SECOND,
  quarantine: 5 * SECOND,
  /** H13, H18: as often in a row as this is as bad as a refused connection. */
  breaks: 5,
  /**
   * H11: requests of an app that have not ended, for each of its dynos, in one process. Heroku has 200 in each of its many routers; what
   * comes at once when a machine's only one is back after a second must find room.
   */
  backlog: 1000,
  /** H11: requests of all apps that wait for a backend, in one process. */
  waiting: 4096,
  /** H22: requests and tunnels of one backend over all worker processes; one address has 28,232 ports to come from. */
  perBackend: 20_000,
  /** H20: how long a request waits for a starting dyno. */
  boot: 75 * SECOND,
  /** H19, H21, H99: how long a request waits when every backend refuses it: a dyno that died is replaced within that time. */
  hold: 10 * SECOND,
  /** Between two attempts to reach any of them; doubles up to the second. */
  holdPause: 50,
  holdPauseMost: 1 * SECOND,
  /** H12: from the end of the request to the first byte of the response. */
  firstByte: 30 * SECOND,
  /** H15, H28: rolling, reset by each byte either way. */
  idle: 55 * SECOND,
  /** In place of these two for the platform's own names: builds, logs and terminals may be silent as long; the daemon has bounds of its own. */
  platformSilence: 3600 * SECOND,
  /** H28: bytes of a request's body in each idle time, while the dyno takes them and has not answered. */
  bodyProgress: 512,
  /** From its first byte to the end of a request's head. */
  head: 30 * SECOND,
  /** A client's connection between two requests. */
  clientIdle: 60 * SECOND,
  /** A backend's connection between two requests. */
  pooledIdle: 90 * SECOND,
  /** Requests that must not be sent twice use no pooled connection that idled longer: the dyno may just be closing it. */
  pooledFresh: 1 * SECOND,
  pooledPerBackend: 256,
  /** After an error the client's input is read and thrown away this long, so that a reset does not eat the answer. */
  linger: 2 * SECOND,
  probe: 100,
  /** From one failed health check to the next; each may be a line in the app's log. */
  checkPause: 1 * SECOND,
  /** Health checks of dynos that serve, of all apps, at once. */
  checksAtOnce: 512,
  /** One attempt of a probe; short, because a dyno's network may just be coming up. */
  probeAttempt: 1 * SECOND,
  sweep: 1 * SECOND,
  /** How long tunnels may stay with a backend in mode `drain`, when their app does not say. */
  grace: 30 * SECOND,
  /** How long a tunnel that must end waits for the end of a message, and then for the answers to its close frames. */
  tunnelMessage: 5 * SECOND,
  tunnelClose: 3 * SECOND,
  /** How long running requests may go on after SIGTERM; tunnels must have ended by then. */
  shutdown: 30 * SECOND,

  /** A connection that has no request may still make one, where systemd holds the sockets: further ones wait there and are not refused. */
  shutdownIdle: 2 * SECOND,
  /** The same after a successor has taken over: nothing waits for the end of this process. */
  handoverTunnels: 600 * SECOND,
  /** A connection that has no request may still make one, so long after a successor has taken over. */
  handoverIdle: 5 * SECOND,
  /** A successor that is not ready by then is given up. */
  succession: 30 * SECOND,

  /** How long, and how often, a public port that is taken is tried. */
  bind: 2 * SECOND,
  bindAgain: 20,
  /** How often a worker is asked whether it is there; one that leaves so many questions unanswered is ended. */
  ask: 1 * SECOND,
  unanswered: 10,
  /** Pause before a worker that has ended is replaced; doubled each time that it does not live long. */
  revival: 100,
  revivalMost: 5 * SECOND,
  /** How often is looked whether session tickets need new keys. */
  rotate: 60 * SECOND,
  /** Apps that are counted by name; the others are counted together. */
  countedApps: 1000,
  /** Log batches on their way from a worker to the master. */
  batchesUnderway: 4,
  /** How often a taken status port is tried again. */
  statusRetry: 5 * SECOND,

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
