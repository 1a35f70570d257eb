import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type WebSocket, WebSocketServer } from 'ws'
import { parseUp, type Table, type TableChange, type Up } from '../../router/protocol.ts'
import { freePort } from '../e2e/ports.ts'
import { type Dyno, eventually, httpDyno } from './router-rig.ts'

/** The real process, against a daemon that only speaks the protocol. */

export const main = join(import.meta.dirname, '..', '..', 'router', 'main.js')

export interface FakeDaemon {
  heard: Up[]
  tokens: (string | undefined)[]
  /** Close codes of connections that have ended. */
  closed: number[]
  send(table: Table): void
  change(change: TableChange): void
  cut(): void
  close(): void
}

/** Speaks with the router that has connected last. */
export function fakeDaemon(port: number): FakeDaemon {
  const server = new WebSocketServer({ port, host: '127.0.0.1', path: '/routers' })
  let peer: WebSocket | undefined
  const daemon: FakeDaemon = {
    heard: [],
    tokens: [],
    closed: [],
    send: (table) => peer?.send(JSON.stringify({ kind: 'table', table })),
    change: (change) => peer?.send(JSON.stringify({ kind: 'change', change })),
    cut: () => peer?.terminate(),
    close() {
      peer?.terminate()
      server.close()
    },
  }
  server.on('connection', (socket, req) => {
    peer = socket
    daemon.tokens.push(req.headers.authorization)
    socket.on('message', (data) => daemon.heard.push(parseUp(String(data))))
    socket.on('close', (code) => daemon.closed.push(code))
  })
  return daemon
}

/** Where a router is at home, and a dyno for it. */
export interface Place {
  data: string
  http: number
  https: number
  api: number
  status: number
  dyno: Dyno
}

export async function makePlace({ token = 'secret' } = {}): Promise<Place> {
  const data = await mkdtemp(join(tmpdir(), 'sluice-router-'))
  await writeFile(join(data, 'router.token'), `${token}\n`)
  return {
    data,
    http: await freePort(),
    https: await freePort(),
    api: await freePort(),
    status: await freePort(),
    dyno: await httpDyno((_, res) => res.end('hello')),
  }
}

const running = new Set<ChildProcess>()

/** Ends every router that was started. */
export async function leavePlace(place: Place): Promise<void> {
  for (const child of running) child.kill('SIGKILL')
  running.clear()
  place.dyno.close()
  await rm(place.data, { recursive: true, force: true, maxRetries: 5 })
}

export const environmentAt = (place: Place, more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({
  ...process.env,
  SLUICE_DATA: place.data,
  SLUICE_PORT: String(place.api),
  SLUICE_HTTP_PORT: String(place.http),
  SLUICE_TLS_PORT: String(place.https),
  SLUICE_ROUTER_HOST: '127.0.0.1',
  SLUICE_ROUTER_WORKERS: '2',
  SLUICE_ROUTER_STATUS_PORT: '0',
  ...more,
})

export interface Started {
  child: ChildProcess
  said(): string
  /** Waits until it listens. */
  up(): Promise<void>
}

export function startRouter(place: Place, more: NodeJS.ProcessEnv = {}, program = main): Started {
  const child = spawn(process.execPath, [program], {
    env: environmentAt(place, more),
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  return watch(child)
}

/** Its standard error is a pipe. */
export function watch(child: ChildProcess): Started {
  let said = ''
  running.add(child)
  child.stderr?.on('data', (chunk) => {
    said += chunk
  })
  const up = () =>
    eventually(
      () => said.includes('listens'),
      () => `the router in ${said}`,
    )
  return { child, said: () => said, up }
}

export const heard = <K extends Up['kind']>(daemon: FakeDaemon, kind: K) =>
  daemon.heard.filter((message): message is Extract<Up, { kind: K }> => message.kind === kind)

export const waitFor = (daemon: FakeDaemon, kind: Up['kind'], count = 1) =>
  eventually(
    () => heard(daemon, kind).length >= count,
    () => `${count} ${kind} in ${JSON.stringify(daemon.heard)}`,
  )

/** From /proc. */
export const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number)

export const argumentsOf = (pid: number): string[] => textOf(`/proc/${pid}/cmdline`).split('\0')

const textOf = (path: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** Those that take requests. */
export const workersOf = (pid: number): number[] =>
  childrenOf(pid).filter((child) => argumentsOf(child).some((argument) => argument.endsWith('worker.js')))
