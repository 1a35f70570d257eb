import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { WebSocket, WebSocketServer } from 'ws'

/**
 * How what the router and the daemon tell each other is passed on. `late`: acknowledgements are held back. `lost`: they never arrive. `silent`: nothing
 * arrives, either way, not even an end, until the network is well again.
 */
export type Treatment = 'prompt' | 'late' | 'lost' | 'silent'

/** Stands between a router and its daemon. */
export interface ControlProxy {
  /** For `startPlatform`. */
  settings: { SLUICE_DAEMON_URL: string }
  /** On which port of this machine the daemon is. */
  lead(port: number): void
  /** From now on; what was held back goes on its way. */
  treat(treatment: Treatment): void
  /** Breaks the connections that there are. */
  cut(): void
  /** Connects once more in the router's name, and says no more than who it is. */
  impersonate(): void
  close(): void
}

/** They tell that the other end said none, and nobody can send them (RFC 6455 7.4.1). */
const NO_CODE = new Set([1005, 1006])

const isAcknowledgement = (text: string): boolean => JSON.parse(text).kind === 'applied'

export async function openControlProxy(): Promise<ControlProxy> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, autoPong: false })
  await new Promise((resolve) => server.once('listening', resolve))
  const open = new Set<WebSocket>()
  const held: (() => void)[] = []
  let port = 0
  let treatment: Treatment = 'prompt'
  let known: { token: string; hello: string } | undefined

  const dial = (token: string): WebSocket =>
    new WebSocket(`ws://127.0.0.1:${port}/routers`, { headers: { authorization: token }, autoPong: false })

  const enter = (socket: WebSocket): WebSocket => {
    open.add(socket)
    return socket.on('close', () => open.delete(socket)).on('error', () => {})
  }

  /** What one says, the other hears, when it is there to hear. */
  const link = (from: WebSocket, to: WebSocket): void => {
    const give = (say: () => void) => {
      if (to.readyState === WebSocket.CONNECTING) to.once('open', say)
      else if (to.readyState === WebSocket.OPEN) say()
    }
    const pass = (say: () => void, acknowledgement = false) => {
      if (treatment === 'silent' || (treatment === 'late' && acknowledgement)) held.push(() => give(say))
      else if (treatment !== 'lost' || !acknowledgement) give(say)
    }
    from.on('ping', (data) => pass(() => to.ping(data)))
    from.on('pong', (data) => pass(() => to.pong(data)))
    from.on('message', (data) => pass(() => to.send(String(data)), isAcknowledgement(String(data))))
    from.on('close', (code, reason) => pass(() => (NO_CODE.has(code) ? to.terminate() : to.close(code, reason))))
  }

  server.on('connection', (router: WebSocket, { headers }: IncomingMessage) => {
    const token = headers.authorization ?? ''
    router.once('message', (data) => {
      known = { token, hello: String(data) }
    })
    const daemon = enter(dial(token))
    link(enter(router), daemon)
    link(daemon, router)
  })

  return {
    settings: { SLUICE_DAEMON_URL: `ws://127.0.0.1:${(server.address() as AddressInfo).port}` },
    lead(to) {
      port = to
    },
    treat(next) {
      treatment = next
      for (const give of held.splice(0)) give()
    },
    cut() {
      for (const socket of open) socket.terminate()
    },
    impersonate() {
      if (!known) throw new Error('no router has connected yet')
      const { hello } = known
      const ghost = enter(dial(known.token))
      ghost.on('open', () => ghost.send(hello))
    },
    close() {
      server.close()
      for (const socket of open) socket.terminate()
    },
  }
}
