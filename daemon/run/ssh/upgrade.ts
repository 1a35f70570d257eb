import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { limits } from '../../limits.ts'

/** Turns an HTTP request into a connection. */
export function switchTo(socket: Socket, head: Buffer): void {
  socket.setNoDelay(true)
  socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n')
  if (head.length > 0) socket.unshift(head)
}

/** Of what nobody was let in for, or is any more. Nothing else watches over the connection: who does not go soon is cut off. */
export function refuse(socket: Duplex, status = '404 Not Found'): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
  socket.resume()
  const late = setTimeout(() => socket.destroy(), limits.refused)
  socket.once('close', () => clearTimeout(late))
}
