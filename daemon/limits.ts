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
  /** A client that went away: from SIGHUP to SIGTERM; from there on as any stop. */
  hangup: 5 * SECOND,
  /** No one-off dyno lives longer: https://devcenter.heroku.com/articles/limits#one-off-dynos */
  oneOff: 24 * 60 * MINUTE,
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
  slugSize: 1 * GiB,
  configSize: 64 * KiB,
  jsonBody: 1 * MiB,
  appsPerEngine: 1000,
  dynosPerType: 100,
  /** Addresses of an app's /26 but for the network's own, the gateway's and a spare. */
  dynosPerApp: 60,
  startsAtOnce: 4,
  logLine: 10_000,
  logLinesKept: 1500,
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
