import { EventEmitter } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import type { WebSocket } from 'ws'
import { createLog } from '../../daemon/log.ts'
import { createRouters } from '../../daemon/route/control.ts'
import { openRegister } from '../../daemon/route/register.ts'
import type { Routers } from '../../daemon/route/routers.ts'
import { type AppRoute, type Backend, PROTOCOL } from '../../router/protocol.ts'
import type { StillClock } from './still-clock.ts'

/** The daemon's end of its routers' connections over rows of one app, with what it says and whose plan it has look. `file`: the register's. */
export function openRouters(clock: StillClock, file?: string) {
  let name = 'a'
  const said: string[] = []
  const log = createLog((line) => said.push(line))
  const backends: Backend[] = []
  const changes: string[] = []
  const lines: string[] = []
  const route = (): AppRoute => ({
    ...{ id: 'app', name, hosts: [name], certificates: [], maintenance: false, empty: 'blank' },
    backends: [...backends],
  })
  const routers = createRouters(
    { clock, log, register: openRegister(file, { log, clock }) },
    {
      ...{ routes: async () => [route()], pairs: async () => new Map(), challenges: () => [] },
      logLine: (app, _, text) => lines.push(`${app} ${text}`),
      changed: (app) => changes.push(app),
    },
  )
  const publish = (newName: string) => {
    name = newName
    return routers.publish()
  }
  return { routers, publish, backends, changes, lines, said }
}

export class FakeSocket extends EventEmitter {
  readonly OPEN = 1
  readyState = 1
  closes: number[] = []
  version = 0

  send(text: string): void {
    const { table, change } = JSON.parse(text)
    this.version = (table ?? change).version
  }

  ping(): void {}

  terminate(): void {
    this.end()
  }

  /** As of the library, the other end answers with the same code. */
  close(code: number): void {
    this.closes.push(code)
    this.end(code)
  }

  end(code = 1006): void {
    this.readyState = 3
    this.emit('close', code)
  }

  say(message: object): void {
    this.emit('message', JSON.stringify(message))
  }

  /** It follows what it was sent last. */
  apply(): void {
    this.say({ kind: 'applied', version: this.version })
  }

  get webSocket(): WebSocket {
    return this as unknown as WebSocket
  }
}

/** Resolves when it follows its first table. */
export async function connect(routers: Routers, id: string, applied = 0): Promise<FakeSocket> {
  const socket = new FakeSocket()
  routers.accept(socket.webSocket, '192.0.2.1')
  const router = { id, host: `host-${id}`, pid: 1, workers: 2 }
  socket.say({ kind: 'hello', protocol: PROTOCOL, applied, certificates: [], router })
  while (socket.version === 0) await setImmediate()
  socket.apply()
  return socket
}

export const statesOf = (routers: Routers): string[] =>
  routers.list().map(({ id, state, behind }) => `${id} ${state} ${behind}`)
