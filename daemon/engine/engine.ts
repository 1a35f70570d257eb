import type { Writable } from 'node:stream'

/**
 * What Sluice asks of a container engine. `docker.ts` runs on one machine; every implementation passes `test/engine/contract.ts`.
 * Identity is in labels: `list()` after a restart of the daemon gives the actual state, rows hold the wanted one.
 */
export interface Engine {
  /** Starts a dyno. Idempotent by `spec.id`: a second call returns the same container. Rejects with EngineError. */
  start(spec: DynoSpec, signal?: AbortSignal): Promise<Placed>
  /**
   * SIGTERM to all processes, SIGKILL after `grace` ms, then removes container and writable layer. Resolves when it is gone; a missing one
   * is success. With `hangup` (its client has gone), SIGHUP first, and SIGTERM that many ms later.
   */
  stop(id: string, grace: number, hangup?: number): Promise<void>
  /**
   * The input and output of a dyno with a terminal of its own, once. Waits for a start that is under way or to come. Rejects with EngineError
   * when that fails, when the dyno was stopped or attached before, and when another daemon started it: its output went there.
   */
  attach(id: string, signal?: AbortSignal): Promise<Process>
  /** A further process in a running dyno, under the same user, limits and environment. It ends with the dyno at the latest. Rejects with EngineError. */
  exec(spec: ExecSpec, signal?: AbortSignal): Promise<Process>
  /** Every dyno container, running or exited, that carries this installation's label. */
  list(): Promise<Placed[]>
  /** Changes as they happen, from now on. Ends when `signal` aborts; throws when the engine goes away (call again). */
  watch(signal: AbortSignal): AsyncIterable<EngineEvent>
  /** Output of one dyno from `since` (ms) on, following until it ends or `signal` aborts. */
  logs(id: string, since: number, signal: AbortSignal): AsyncIterable<LogChunk>
  /** Runs a build container; aborting `signal` kills and removes it. */
  build(spec: BuildSpec, signal: AbortSignal): Promise<BuildProcess>
  /** Removes what a crashed daemon left behind: build containers, dynos that were created and never started, layers without a dyno. */
  sweepBuilds(): Promise<void>
  /** Removes what an app without dynos leaves: its network and volumes. */
  removeApp(app: string): Promise<void>
  /** Resolves when the engine answers; rejects with EngineError otherwise. */
  ping(): Promise<void>
}

export interface DynoSpec {
  id: string
  /** Ids go into labels, names are for people. */
  app: { id: string; name: string }
  release: { id: string; version: number }
  /** Process type, `release` or `run`. */
  type: string
  /** `web.1` */
  name: string
  image: string
  /** A shell command line, given to bash as one argument after .profile.d was sourced. */
  command: string
  /** Whole environment as `NAME=value`, byte-exact. */
  env: string[]
  /** Absolute path of the unpacked slug on this host, shared read-only below a private writable layer at /app. */
  slug: string
  memory: number
  /** Cores. */
  cpu: number
  pids: number
  network: { name: string; subnet: string }
  /** Set when a client holds its input and output; nothing of that is kept then. */
  terminal?: Terminal
}

export interface ExecSpec {
  /** Of the dyno. */
  id: string
  /** As the command of a dyno. */
  command: string
  /** On top of the dyno's. */
  env: string[]
  terminal: Terminal
}

/** What a process has for its input and output: a pseudo-terminal of this size (in characters), or three pipes. */
export type Terminal = { kind: 'tty'; columns: number; rows: number } | { kind: 'pipes' }

/** The other end of a process's input and output. */
export interface Process {
  /** Ending it is the end of file for a process with pipes; one with a terminal gets that by EOT. */
  input: Writable
  /** As it comes, in order; a terminal has stdout only. Reads no further than its consumer does. Ends when nobody can write any more. */
  output: AsyncIterable<{ stream: 'stdout' | 'stderr'; data: Buffer }>
  /** Changes the size of its terminal; nothing for pipes, or when it has ended. */
  resize(columns: number, rows: number): Promise<void>
  /** Exit code, after the output has ended. Rejects with EngineError when the engine went away. */
  exit: Promise<number>
  /** The client has gone: SIGHUP, then SIGTERM, then SIGKILL to all of its processes. Resolves when they have ended. */
  hangup(): Promise<void>
}

export interface Placed {
  id: string
  app: string
  release: string
  type: string
  name: string
  running: boolean
  /** Set when it has ended. */
  exitCode: number | null
  outOfMemory: boolean
  /** Where routers reach it, IPv4; null when it does not run. */
  address: string | null
  startedAt: number
  /** Its output goes to a client, not to a log. */
  attached: boolean
}

export type EngineEvent =
  | { kind: 'started'; id: string; app: string }
  | { kind: 'exited'; id: string; app: string; exitCode: number; outOfMemory: boolean }

export interface LogChunk {
  stream: 'stdout' | 'stderr'
  /** ms, from the engine; what a number holds of its nanoseconds. Never goes back within a stream, but when the clock was set back. */
  at: number
  data: Buffer
  /** The engine has thrown away what came before this, unread, and nobody knows how much. */
  gap?: true
}

export interface BuildSpec {
  id: string
  app: string
  image: string
  /** argv; no shell. */
  command: string[]
  env: string[]
  mounts: { host: string; path: string; readOnly: boolean }[]
  memory: number
  pids: number
  cpu: number
}

export interface BuildProcess {
  /** stdout and stderr as they come, in order. Ends when the container has ended. */
  output: AsyncIterable<Buffer>
  /** Resolves after the container has ended; rejects with the abort reason when aborted. The container is gone by then. */
  exit: Promise<{ exitCode: number; outOfMemory: boolean }>
}

/** The engine refused or did not answer; `message` is fit for a user, `cause` is the engine's own. */
export class EngineError extends Error {
  override readonly name = 'EngineError'
}

/** User and group that dynos and builds run as, as in Heroku's own images. */
export const DYNO_UID = 1000
