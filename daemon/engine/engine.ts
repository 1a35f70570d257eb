import type { Readable, Writable } from 'node:stream'
import type { Space } from '../space.ts'

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
  /** Bytes that a dyno uses now; null when it does not run or nobody says. Never rejects. */
  memoryUsed(id: string): Promise<number | null>
  /** Changes as they happen, from now on. Ends when `signal` aborts; throws when the engine goes away (call again). */
  watch(signal: AbortSignal): AsyncIterable<EngineEvent>
  /** On which ports the processes of a running dyno accept TCP connections; none when nobody can tell. */
  listens(id: string): Promise<Listener[]>
  /** Output of one dyno from `since` (ms) on, following until it ends or `signal` aborts. */
  logs(id: string, since: number, signal: AbortSignal): AsyncIterable<LogChunk>
  /** Runs a build container; aborting `signal` kills and removes it. */
  build(spec: BuildSpec, signal: AbortSignal): Promise<BuildProcess>
  readonly images: Images
  /**
   * Removes what a crashed daemon left behind: build containers and what image builds hold, dynos that were created and never started,
   * layers without a dyno.
   */
  sweepBuilds(): Promise<void>
  /** Whose things it has. */
  owners(): Promise<Owners>
  /** Bytes that each dyno has written beside the layer of its /app: into its image, such as /tmp. By id; takes the engine a walk over those files. */
  written(): Promise<Map<string, number>>
  /** Removes what one build has left. A missing one is success. */
  removeBuild(build: string): Promise<void>
  /** Removes what an app without dynos leaves: its network and volumes. */
  removeApp(app: string): Promise<void>
  /** Resolves when the engine answers; rejects with EngineError otherwise. */
  ping(): Promise<void>
  /** Its own version, such as `20.10.24`. */
  version(): Promise<string>
}

/** Ids of what has anything in an engine; of builds also the holders of what is being fetched. */
export interface Owners {
  apps: Set<string>
  dynos: Set<string>
  builds: Set<string>
}

/** Images of apps. Names are `REPOSITORY:TAG`, and this installation's own: those of others on the same engine are different ones. */
export interface Images {
  /** What the engine has under an id or a reference such as `debian:13`; null when it has nothing. */
  inspect(image: string): Promise<ImageInfo | null>
  /** Gets `host/path@sha256:…` (or with a tag) from its registry; its id. It stays when it is kept, and else until somebody removes it. */
  pull(reference: string, options?: PullOptions): Promise<string>
  /** Holds an image under a name, which moves when it held another one: what is held stays. */
  keep(id: string, name: string): Promise<void>
  /**
   * Lets go of a name, or of all names of a repository; what nothing holds or uses any more is removed. False when a container uses it
   * still: then it is to be called again. What is not there is success.
   */
  forget(name: string): Promise<boolean>
  /** Removes a reference that was pulled, and the image if nothing else holds it. False when a container uses it; a missing one is success. */
  drop(reference: string): Promise<boolean>
  /** All names that hold something. */
  kept(): Promise<string[]>
  /** Everything that the engine has, whoever it is of. */
  list(): Promise<ListedImage[]>
  /** What is left where images are. */
  space(): Promise<Space>
  /** These images with all their layers, once each, as one archive that `load` takes. */
  save(ids: readonly string[]): Promise<Readable>
  /** Takes the images of such an archive in, under the ids that they had. They stay when they are kept, and else until somebody removes them. */
  load(archive: Readable): Promise<void>
  /**
   * Builds one image of a Dockerfile; `context` is a plain tar. What it makes is held by the repository `buildRepository(spec.build)`, which
   * is the caller's to forget; one that fails or is aborted leaves nothing. Rejects with EngineError, a BuilderError for what is the app's
   * affair.
   */
  build(spec: ImageBuildSpec, context: Readable, signal: AbortSignal): Promise<ImageBuild>
}

/** Who may pull; told to the engine only. */
export interface PullOptions {
  auth?: { username: string; password: string; serveraddress: string }
  /** Lines as `docker pull` prints them. */
  progress?: (line: string) => void
  signal?: AbortSignal
  /** It is held under this name from now on, and no longer by its reference, unless it was there before. */
  as?: string
}

export interface ListedImage {
  id: string
  /** With the layers that it shares with others. */
  bytes: number
  /** Under which it is held here. */
  kept: string[]
  /** Its other ones, as everybody on the engine sees them. */
  names: string[]
}

export interface ImageInfo {
  /** `sha256:…` */
  id: string
  /** bytes */
  size: number
  /** `linux/amd64` */
  platform: string
  config: {
    /** Null when it has none. */
    entrypoint: string[] | null
    cmd: string[] | null
    workingDir: string
    user: string
    /** `NAME=value` */
    env: string[]
    /** Ports, `8080/tcp`. */
    exposed: string[]
    /** Lines that are performed when another image is built on it. */
    onBuild: string[]
  }
}

export const buildRepository = (build: string): string => `build-${build}`

export interface ImageBuildSpec {
  build: string
  /** Tells it from the other images of the build. */
  name: string
  /** Path in the context. */
  dockerfile: string
  target?: string | undefined
  args: Record<string, string>
  /** Names of kept images whose layers may be used again; without any, everything is made anew. */
  cache: string[]
  /** Of each step. */
  memory: number
  pids: number
  cpu: number
}

export interface ImageBuild {
  /** What `docker build` prints; to be read to its end. */
  output: AsyncIterable<Buffer>
  /** After the output has ended: the image, and what each stage came to, in order (the last is the image). */
  done: Promise<{ id: string; stages: string[] }>
  /** Bytes that it has written by now, and that the engine's disk has left. */
  usage(): Promise<{ used: number; free: number }>
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
  code: Code
  /** As `NAME=value`, byte-exact: all of it for a slug, on top of the image's own for an image. */
  env: string[]
  memory: number
  /** Cores. */
  cpu: number
  pids: number
  network: { name: string; subnet: string }
  /** Set when a client holds its input and output; nothing of that is kept then. */
  terminal?: Terminal
}

export type Code =
  | {
      kind: 'slug'
      /** Absolute path of the unpacked slug on this host, shared read-only below a private writable layer at /app. */
      tree: string
      /** A shell command line, given to bash as one argument after .profile.d was sourced. */
      command: string
    }
  | {
      kind: 'image'
      /** A shell command line for its /bin/sh, in place of its CMD; null: its CMD. Its ENTRYPOINT is before either. */
      command: string | null
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
  /** It ended because the kernel had killed a process of it, for its memory. */
  outOfMemory: boolean
  /** Where routers reach it, IPv4; null when it does not run. */
  address: string | null
  startedAt: number
  /** Its output goes to a client, not to a log. */
  attached: boolean
}

export interface Listener {
  port: number
  /** From within the dyno only. */
  local: boolean
}

export type EngineEvent =
  | { kind: 'started'; id: string; app: string }
  /** The kernel has killed a process of it, for its memory. */
  | { kind: 'starved'; id: string; app: string }
  | { kind: 'exited'; id: string; app: string; exitCode: number; outOfMemory: boolean }

export interface LogChunk {
  stream: 'stdout' | 'stderr'
  /** ms, from the engine; what a number holds of its nanoseconds. Never goes back within a stream, but when the clock was set back. */
  at: number
  data: Buffer
  /** The engine has thrown away what came before this, unread, and nobody knows how much. */
  gap?: true
}

/** All that a build may write to is in its mounts, its memory and its pids: the image is read-only. */
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
  /**
   * Resolves after the container has ended; rejects with the abort reason when aborted. The container is gone by then,
   * or goes as soon as the engine removes it.
   */
  exit: Promise<{ exitCode: number; outOfMemory: boolean }>
}

/** The engine refused or did not answer; `message` is fit for a user, `cause` is the engine's own. */
export class EngineError extends Error {
  override readonly name = 'EngineError'
}

/** It did not refuse: it is not there, or says nothing. What was asked for may have been done, or not. */
export class EngineGone extends EngineError {}

/** What a registry gave is no image that the engine can use, or it gave none. */
export class ImageError extends EngineError {}

/** What the builder of images says of an app's Dockerfile, or of a step in it that failed. */
export class BuilderError extends EngineError {}

/** User and group that dynos and builds run as, as in Heroku's own images. */
export const DYNO_UID = 1000
