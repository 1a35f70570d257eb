import type { Socket } from 'node:net'

/** Turns an HTTP request into a connection. */
export function switchTo(socket: Socket, head: Buffer): void {
  socket.setNoDelay(true)
  socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n')
  if (head.length > 0) socket.unshift(head)
}

/** Of what nobody was let in for, or is any more. */
export const refuse = (socket: Socket): void =>
  void socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
