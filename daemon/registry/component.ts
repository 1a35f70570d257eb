import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { lchown, lstat, mkdir, rm, writeFile } from 'node:fs/promises'
import * as http from 'node:http'
import * as https from 'node:https'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pipeline, Readable } from 'node:stream'
import { run } from '../build/command.ts'
import type { Clock } from '../clock.ts'
import { type Config, hostEnvironment } from '../config.ts'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'
import { onceWritten } from '../store/once.ts'
import { RegistryError } from './refusal.ts'

/**
 * The image registry behind `/v2/`: Docker distribution, as a child of the daemon that listens on a socket below the data folder, or one
 * that the operator runs elsewhere.
 *
 *   down -- spawned --> starting -- it says that it listens --> up
 *   starting, up -- it ends --> down, and is spawned again after a pause that grows from 0.25 to 10 s
 *   up -- nobody is at its socket --> down, and it is ended if it has not
 *   any -- stop --> stopped
 */
export interface Component {
  /** Where its repositories are, when they are this host's. */
  readonly storage: string | undefined
  start(): Promise<void>
  /** Sends a request; resolves with the head of the answer. Throws RegistryError when it does not come back in time, or breaks off. */
  send(asked: Asked): Promise<http.IncomingMessage>
  /** Removes blobs that no manifest names. Nothing may be written meanwhile. */
  collect(): Promise<void>
  stop(): Promise<void>
}

export interface Asked {
  method: string
  path: string
  headers?: http.OutgoingHttpHeaders
  body?: Readable | Buffer
  signal?: AbortSignal
}

const FIRST_PAUSE = 250
const LAST_PAUSE = 10_000
/** It reads what strangers send, so it owns nothing but its own folder: Debian's `nobody`. */
const UID = 65_534
const CONFIG = 'config.json'
const SOCKET = 'socket'
const REPOSITORIES = 'storage/docker/registry/v2/repositories'

type Parts = { config: Pick<Config, 'data' | 'registry'>; clock: Clock; log: Log }

export function createComponent(parts: Parts): Component {
  const { registry } = parts.config
  if (registry === undefined) return absent
  return 'url' in registry ? elsewhere(new URL(registry.url)) : child(parts, registry.program)
}

const absent: Component = {
  storage: undefined,
  start: async () => {},
  send: () =>
    Promise.reject(
      new RegistryError(
        'UNSUPPORTED',
        'This platform keeps no images, because its host has no registry: its operator installs the package docker-registry and starts the daemon again.',
      ),
    ),
  collect: async () => {},
  stop: async () => {},
}

const elsewhere = (url: URL): Component => ({
  storage: undefined,
  start: async () => {},
  send: (asked) => request({ ...addressOf(url), path: url.pathname.replace(/\/$/, '') + asked.path }, asked),
  collect: async () => {},
  stop: async () => {},
})

function child({ config, clock, log }: Parts, program: string): Component {
  const folder = join(config.data, 'registry')
  let running: ChildProcess | undefined
  let stopped = false
  let up = false
  const waiting = new Set<() => void>()
  let cancel = (): void => {}

  const keep = (secret: string, pause = FIRST_PAUSE): void => {
    const began = clock.now()
    const end = (how: string): void => {
      up = false
      running = undefined
      if (stopped) return
      log.error('the image registry ended and is started again', { how })
      const next = clock.now() - began > LAST_PAUSE ? FIRST_PAUSE : pause
      cancel = clock.at(clock.now() + next, () => keep(secret, Math.min(2 * next, LAST_PAUSE)))
    }
    const spawned = spawn('setpriv', [...unprivileged(), '--pdeathsig', 'TERM', program, 'serve', CONFIG], {
      cwd: folder,
      env: { ...hostEnvironment(), REGISTRY_HTTP_SECRET: secret },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    running = spawned
    // an error without a process is followed by `close` too
    spawned.on('error', (error) => log.error('the image registry cannot be started', { error }))
    spawned.on('close', (code, by) => end(String(code ?? by)))
    createInterface(spawned.stderr).on('line', hear)
  }
  const hear = (line: string): void => {
    const { level, msg } = said(line)
    if (/^listening on /.test(msg)) {
      up = true
      for (const wake of waiting) wake()
    } else if (level !== 'info') log.warn('the image registry says', { text: msg })
  }
  const listening = async (until: number): Promise<void> => {
    if (up) return
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        cancelLate()
        waiting.delete(wake)
        resolve()
      }
      const cancelLate = clock.at(until, wake)
      waiting.add(wake)
    })
    if (!up) throw unavailable('is being started')
  }
  /** A connection to it: what is sent by one has not been sent to a component that was dead by then. */
  const reach = async (): Promise<Socket> => {
    const until = clock.now() + limits.registryStart
    for (;;) {
      await listening(until)
      const asked = running
      const socket = await connection(join(folder, SOCKET))
      if (socket) return socket
      if (running !== asked) continue
      // It has ended, of which we are told a moment later; or the one of a daemon before us has taken the socket along.
      up = false
      if (!stopped) asked?.kill('SIGKILL')
    }
  }
  return {
    storage: join(folder, REPOSITORIES),
    // The program may have put links into its folder, and we may write anywhere: none is followed.
    async start() {
      for (const path of [folder, join(folder, 'storage')]) {
        await mkdir(path, { recursive: true, mode: 0o700 })
        if (mayStepDown()) await lchown(path, UID, UID)
      }
      await takeBack(join(folder, 'storage', 'docker'))
      await rm(join(folder, CONFIG), { force: true })
      await writeFile(join(folder, CONFIG), JSON.stringify(settings), { flag: 'wx' })
      if (mayStepDown()) await lchown(join(folder, CONFIG), UID, UID)
      const secret = await onceWritten(join(config.data, 'registry.secret'), () =>
        randomBytes(32).toString('base64url'),
      )
      keep(String(secret))
    },
    async send(asked) {
      const socket = await reach()
      return request({ createConnection: () => socket, agent: undefined, path: asked.path }, asked)
    },
    async collect() {
      await run('setpriv', [...unprivileged(), program, 'garbage-collect', CONFIG], {
        cwd: folder,
        signal: AbortSignal.timeout(limits.registryCollect),
      })
    },
    async stop() {
      stopped = true
      cancel()
      const ending = running
      if (!ending) return
      await new Promise<void>((resolve) => {
        const late = clock.at(clock.now() + limits.registryStop, () => ending.kill('SIGKILL'))
        ending.once('close', () => {
          late()
          resolve()
        })
        ending.kill('SIGTERM')
      })
    },
  }
}

/** Root may, and whom systemd lets change its user (`CAP_SETUID`). */
const mayStepDown = (): boolean => {
  const [, held = '0'] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  return (BigInt(`0x${held}`) & CAP_SETUID) !== 0n
}
const CAP_SETUID = 1n << 7n

/** What was restored into a folder of root's, systemd gives to the daemon's user with all that is in it. */
async function takeBack(content: string): Promise<void> {
  const found = await lstat(content).catch(() => undefined)
  if (found?.isDirectory() && found.uid !== UID && mayStepDown())
    await run('chown', ['-Rh', `${UID}:${UID}`, '--', content])
}

/** What setpriv is told: what systemd lets us do is not for the program. */
const unprivileged = (): string[] => {
  const nothing = ['--inh-caps=-all', '--ambient-caps=-all', '--no-new-privs']
  return mayStepDown() ? ['--reuid', String(UID), '--regid', String(UID), '--clear-groups', ...nothing] : nothing
}

/**
 * JSON is YAML. Paths are relative to its folder, which is all of the data folder that it can reach. There is no cache of blobs, because
 * one would go on to tell of those that were collected.
 */
export const settings = {
  version: '0.1',
  log: { level: 'info', formatter: 'json', accesslog: { disabled: true } },
  storage: {
    filesystem: { rootdirectory: 'storage' },
    maintenance: { uploadpurging: { enabled: true, age: '24h', interval: '1h', dryrun: false } },
  },
  http: { net: 'unix', addr: SOCKET, relativeurls: true, draintimeout: '2s' },
} as const

/** A line of its log. What clients asked for in vain is theirs to know, not an error. */
function said(line: string): { level: string; msg: string } {
  try {
    const { level, msg, ...fields } = JSON.parse(line)
    const status = fields['http.response.status']
    if (status !== undefined && status < 500) return { level: 'info', msg: '' }
    const detail = fields['err.detail'] ?? fields['err.message']
    return { level: String(level), msg: detail === undefined ? String(msg) : `${msg}: ${detail}` }
  } catch {
    return { level: '', msg: line.slice(0, limits.logLine) }
  }
}

function addressOf(url: URL): http.RequestOptions {
  const { protocol, hostname, port, username, password } = url
  const auth = username ? { auth: `${decodeURIComponent(username)}:${decodeURIComponent(password)}` } : {}
  return { protocol, hostname, port, ...auth }
}

/** Undefined when nobody listens there. */
const connection = (path: string): Promise<Socket | undefined> =>
  new Promise((resolve, reject) => {
    const socket = connect(path, () => resolve(socket))
    socket.on('error', (error: NodeJS.ErrnoException) =>
      ['ECONNREFUSED', 'ENOENT'].includes(error.code ?? '')
        ? resolve(undefined)
        : reject(unavailable('broke off', error)),
    )
  })

/** The connection is new each time, so that none of a component that has ended since is used. */
function request(
  to: http.RequestOptions,
  { method, headers = {}, body, signal }: Asked,
): Promise<http.IncomingMessage> {
  const open = to.protocol === 'https:' ? https.request : http.request
  return new Promise((resolve, reject) => {
    const sent = open({ agent: false, ...to, method, headers, ...(signal ? { signal } : {}) })
    sent.on('response', resolve)
    const fail = (cause: unknown): void =>
      reject(cause instanceof RegistryError ? cause : unavailable('broke off', cause))
    sent.on('error', fail)
    if (body instanceof Readable) pipeline(body, sent, (error) => error && fail(error))
    else sent.end(body)
  })
}

const unavailable = (what: string, cause?: unknown): RegistryError =>
  new RegistryError('UNAVAILABLE', `The image registry of this platform ${what}. Try again soon.`, { cause })
