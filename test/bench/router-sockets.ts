import { fork } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type Candidate, HOST } from './router-proxies.ts'
import { usageOf } from './router-usage.ts'

/** A process may have 20,000 descriptors where this was written, and a proxy needs two for each. */
const SOCKETS = 8000
const AT_ONCE = 50

const SWITCH = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket']
const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='

/** A dyno that answers every request with a WebSocket and then says nothing. */
export async function startQuietDyno(): Promise<{ port: number; stop(): void }> {
  const child = fork(import.meta.filename, ['dyno'])
  const [port] = (await once(child, 'message')) as [number]
  return { port, stop: () => void child.kill() }
}

/** KiB of resident memory for each of many idle WebSockets. */
export async function measureIdle(proxy: Candidate): Promise<{ sockets: number; each: number; whole: number }> {
  const before = await usageOf(proxy.pid)
  const sockets: Socket[] = []
  while (sockets.length < SOCKETS)
    sockets.push(...(await Promise.all(Array.from({ length: AT_ONCE }, () => openSocket(proxy.port)))))
  const after = await usageOf(proxy.pid)
  for (const socket of sockets) socket.destroy()
  return { sockets: SOCKETS, each: ((after.memory - before.memory) * 1024) / SOCKETS, whole: after.memory }
}

async function openSocket(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  const asked = ['GET /socket HTTP/1.1', `Host: ${HOST}`, 'Connection: Upgrade', 'Upgrade: websocket']
  socket.write([...asked, 'Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${KEY}`, '', ''].join('\r\n'))
  const [answer] = (await once(socket, 'data')) as [Buffer]
  if (!answer.toString().startsWith('HTTP/1.1 101')) throw new Error(`no WebSocket: ${answer.toString().slice(0, 80)}`)
  return socket
}

if (process.argv[2] === 'dyno' && process.argv[1] === import.meta.filename) {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.write([...SWITCH, `Sec-WebSocket-Accept: ${ACCEPT}`, '', ''].join('\r\n')))
  })
  server.listen(0, '127.0.0.1', 4096, () => process.send?.((server.address() as AddressInfo).port))
  process.once('disconnect', () => process.exit())
}
