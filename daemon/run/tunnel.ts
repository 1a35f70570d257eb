import type { IncomingMessage } from 'node:http'
import { createServer, type Server, type Socket } from 'node:net'
import type { Clock } from '../clock.ts'
import type { Process, Terminal } from '../engine/engine.ts'
import { messageOf, UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Exec } from './exec.ts'
import { type Host, serve } from './ssh/connection.ts'
import type { Run } from './ssh/dyno-command.ts'
import { type Access, createExecKeys, type ExecKeys } from './ssh/exec-key.ts'
import { destination, forward } from './ssh/forward.ts'
import type { HostKey } from './ssh/host-key.ts'
import { serveSession } from './ssh/session.ts'
import { serveSftp } from './ssh/sftp.ts'
import { refuse, switchTo } from './ssh/upgrade.ts'

/** Where clients of ps:exec, ps:copy, ps:forward and ps:socks come in, by SSH. */
export interface Tunnel {
  /** An address that cannot be had is told in the log; the rest of the platform does without. */
  listen(): Promise<void>
  /**
   * What a client needs in order to come in. Throws UserError for a bad key, and, unless it comes by an upgrade, when the tunnel does not
   * listen.
   */
  admit(access: Access, way?: { upgrade: boolean }): { host: string; user: string; hostKey: string }
  /** Answers `GET /tunnel/USER` with `Upgrade: tcp`, for clients that come by the API's port. */
  upgrade(req: IncomingMessage, socket: Socket, head: Buffer): void
  /** Ends all connections. */
  close(): void
}

export interface Parts {
  clock: Clock
  log: Log
  hostKey: HostKey
  address: string | undefined
  exec: Exec
}

interface Wanted {
  command: string
  env: string[]
  terminal: Terminal
}

/** At a terminal it is interactive; the profile scripts were sourced before it. An image may have no bash. */
export const SHELL = 'if command -v bash >/dev/null; then exec bash; fi; exec sh'

/** The CLI knows no other. */
const PORT = 80

export function createTunnel(parts: Parts): Tunnel {
  const { log, hostKey, address } = parts
  const keys = createExecKeys(parts.clock)
  const connections = createConnections((socket, known) =>
    serve(socket, hostOf({ keys, exec: parts.exec, known }), parts),
  )
  const server = createServer({ noDelay: true }, connections.accept)
  let trouble = 'It does not listen yet; try again in a moment.'
  return {
    async listen() {
      trouble = address === undefined ? NO_ADDRESS : ((await listenOn(server, address)) ?? '')
      if (trouble === '') return
      // nobody has asked for it
      if (address === undefined) log.info('ps:exec is off', { reason: trouble })
      else log.warn('ps:exec is off', { reason: trouble })
    },
    admit(access, { upgrade } = { upgrade: false }) {
      if (trouble !== '' && !upgrade)
        throw new UserError('invalid_params', `ps:exec is off on this platform. ${trouble}`)
      return { host: address ?? '', user: keys.add(access), hostKey: hostKey.public }
    },
    upgrade(req, socket, head) {
      if (!keys.knows(req.url?.slice('/tunnel/'.length) ?? '')) return refuse(socket)
      switchTo(socket, head)
      connections.accept(socket)
    },
    close() {
      server.close()
      connections.close()
    },
  }
}

const NO_ADDRESS =
  "The router has port 80 of all of this machine's addresses. Let its sockets listen at one of them, and set SLUICE_EXEC_HOST to another. Or use sluice instead of heroku, which comes by the API's port."

function listenOn(server: Server, address: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    server.once('error', (error) =>
      resolve(
        `Port ${PORT} of ${address} cannot be had (${messageOf(error)}). Set SLUICE_EXEC_HOST to an address of this machine whose port ${PORT} is free, and start the daemon again.`,
      ),
    )
    server.listen({ host: address, port: PORT }, () => {
      server.on('error', () => {})
      resolve(undefined)
    })
  })
}

/** All clients, and which of them have not said yet who they are. */
function createConnections(serveClient: (socket: Socket, known: () => void) => () => void) {
  const clients = new Map<Socket, () => void>()
  const strangers = new Set<Socket>()
  return {
    accept(socket: Socket) {
      if (clients.size >= limits.tunnelConnections || strangers.size >= limits.tunnelStrangers) {
        socket.destroy()
        return
      }
      strangers.add(socket)
      socket.on('close', () => {
        strangers.delete(socket)
        clients.delete(socket)
      })
      clients.set(
        socket,
        serveClient(socket, () => strangers.delete(socket)),
      )
    },
    close() {
      for (const end of clients.values()) end()
    },
  }
}

function hostOf({ keys, exec, known }: { keys: ExecKeys; exec: Exec; known(): void }): Host {
  let access: Access | undefined
  const openFor = async (wanted: Wanted, signal: AbortSignal): Promise<Process> => {
    if (!access) throw new Error('nobody has authenticated')
    return exec(access.dyno, wanted, signal)
  }
  const run: Run = (command, signal) => openFor({ command, env: [], terminal: { kind: 'pipes' } }, signal)
  return {
    method: 'publickey',
    async authenticate(attempt) {
      access = await keys.match(attempt)
      if (access && attempt.method === 'publickey' && attempt.signature) known()
      return access !== undefined
    },
    channels: limits.sshChannels,
    idle: limits.sshIdle,
    session: (session, visit) =>
      serveSession(session, {
        merged: false,
        line: visit.line,
        open: ({ command = SHELL, terminal, env }, signal) => openFor({ command, terminal, env }, signal),
        sftp: (line) => serveSftp(line, run),
        began: visit.during,
      }),
    async forward(wanted, visit) {
      const target = destination(access?.dyno.address ?? null, wanted)
      if (target) await forward(run, target, visit)
      else visit.reject()
    },
  }
}
