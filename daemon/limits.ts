/** Every bound of the control plane, in one place. Times are milliseconds, sizes bytes. */

const KiB = 1024
const MiB = 1024 * KiB
const GiB = 1024 * MiB
const SECOND = 1000
const MINUTE = 60 * SECOND

/** Heroku's figures: https://devcenter.heroku.com/articles/limits */
export const limits = {
  /** R10: a web dyno must accept connections on $PORT this long after its start. */
  boot: 60 * SECOND,
  /** R12: from SIGTERM to SIGKILL. */
  stopGrace: 30 * SECOND,
  /** How long an old backend may finish its requests after a cutover. */
  drain: 30 * SECOND,
  /** A router that is silent this long no longer holds up a cutover. */
  routerSilence: 60 * SECOND,
  releaseCommand: 60 * MINUTE,
  /** R13: a one-off dyno whose client has not come by then is ended. */
  rendezvous: 60 * SECOND,
  /** Secrets of one app that are out at once. */
  meetingsPerApp: 40,
  /** Input that waits for a command which does not read it. */
  inputAhead: 1 * MiB,
  /** Of a command, in a line of the log. */
  commandShown: 1000,
  /** A client that went away: from SIGHUP to SIGTERM; from there on as any stop. */
  hangup: 5 * SECOND,
  /** No one-off dyno lives longer: https://devcenter.heroku.com/articles/limits#one-off-dynos */
  oneOff: 24 * 60 * MINUTE,
  /** From an SSH client's connection until it is known who it is, and how often it may try. */
  sshAuthentication: 20 * SECOND,
  sshAttempts: 6,
  /** A client is asked whether it is there, and given up when it has not answered so many times. */
  sshKeepAlive: 15 * SECOND,
  sshSilences: 3,
  /** A client with nothing to do is sent away, and may take this long to leave. */
  sshIdle: 5 * MINUTE,
  sshFarewell: 10 * SECOND,
  sshChannels: 16,
  /** Clients of ps:exec at once, and those of them that have not said yet who they are. */
  tunnelConnections: 500,
  tunnelStrangers: 50,
  /** How long a client's key opens a dyno for ps:exec, and how many are remembered of one app. */
  execKey: 12 * 60 * MINUTE,
  execKeysPerApp: 100,
  execsPerDyno: 64,
  sftpFiles: 4,
  /** One answer to a read. */
  sftpRead: 64 * KiB,
  /** What may be read again of a file; more than the 2 MiB that clients ask for at once. */
  sftpWindow: 3 * MiB,
  sftpPacket: 256 * KiB,
  buildTime: 15 * MINUTE,
  buildMemory: 2 * GiB,
  buildPids: 2048,
  /** Source, cache and slug of one build together. */
  buildDisk: 6 * GiB,
  /** Builds stop when the disk has less than this left. */
  diskReserve: 512 * MiB,
  buildpackTime: 60 * SECOND,
  buildpackSize: 64 * MiB,
  sourceSize: 1 * GiB,
  /** Output of a deploy that waits for a client which does not read. */
  pushOutput: 1 * MiB,
  /** A git client that has read nothing for so long, although there was something, is let go. */
  gitStall: 10 * MINUTE,
  slugSize: 1 * GiB,
  configSize: 64 * KiB,
  /** Of a one-off process. */
  commandSize: 64 * KiB,
  jsonBody: 1 * MiB,
  appsPerEngine: 1000,
  dynosPerType: 100,
  /** Addresses of an app's /26 but for the network's own, the gateway's and a spare. */
  dynosPerApp: 60,
  oneOffsPerApp: 20,
  startsAtOnce: 4,
  logLine: 10_000,
  logLinesKept: 1500,
  /** Logplex's own default. */
  drainsPerApp: 5,
  /** Each has at most one connection. */
  drains: 1000,
  drainUrl: 2048,
  drainBatchLines: 1000,
  drainBatchBytes: 100 * KiB,
  /** Over HTTP a line waits this long for others. */
  drainGather: 1 * SECOND,
  /** From the name of the host to a verified certificate. */
  drainConnect: 5 * SECOND,
  /** A batch that is not taken in this time is sent again. */
  drainSend: 10 * SECOND,
  /** What is read of an answer. */
  drainAnswer: 64 * KiB,
  /** The longest pause after failures. */
  drainRetry: 30 * SECOND,
  /** A connection without lines is closed. */
  drainIdle: 60 * SECOND,
  /** What was written so shortly before a syslog connection broke is written again. */
  drainUnsure: 2 * SECOND,
  drainUnsureBytes: 1 * MiB,
  /** How often it is stored how far drains have got. */
  drainProgress: 1 * SECOND,
  /** A drain's errors are told once in this time. */
  drainTell: MINUTE,
  /** When the daemon stops, for what has not been delivered yet. */
  drainStop: 1.5 * SECOND,
  /** What one dyno may print a second without losing a line; beyond it lines are dropped, counted and told (L12). */
  logRate: { lines: 25_000, bytes: 10 * MiB },
  /** The same for what a build prints, which git and the transcript have whole. */
  buildLogRate: { lines: 5000, bytes: 2 * MiB },
  /** Tails that are open at once. */
  logSessions: 1000,
} as const

/** Dyno sizes: memory in bytes, CPU in cores, as Heroku names them. Size names are matched without regard to case. */
export const dynoSizes = {
  Eco: { memory: 512 * MiB, cpu: 1, pids: 256 },
  Basic: { memory: 512 * MiB, cpu: 1, pids: 256 },
  'Standard-1X': { memory: 512 * MiB, cpu: 1, pids: 256 },
  'Standard-2X': { memory: 1 * GiB, cpu: 2, pids: 512 },
  'Performance-M': { memory: 2.5 * GiB, cpu: 2, pids: 16_384 },
  'Performance-L': { memory: 14 * GiB, cpu: 8, pids: 32_768 },
} as const

export type DynoSize = keyof typeof dynoSizes
export const defaultSize: DynoSize = 'Basic'

export const parseSize = (name: string): DynoSize | undefined =>
  (Object.keys(dynoSizes) as DynoSize[]).find((size) => size.toLowerCase() === name.toLowerCase())
