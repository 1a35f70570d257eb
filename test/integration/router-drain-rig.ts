import type { Socket } from 'node:net'
import { type Client, client, eventually, get, type Rig } from './router-rig.ts'

export const drained = (rig: Rig): Promise<void> =>
  eventually(
    () => rig.drained.length > 0,
    () => 'the backend to drain',
  )

/** A raw client whose handshake the dyno has accepted. */
export async function raw(rig: Rig, upgrade: string): Promise<Client> {
  const key = 'dGhlIHNhbXBsZSBub25jZQ=='
  const fields = [`Sec-WebSocket-Key: ${key}`, 'Sec-WebSocket-Version: 13']
  const self = client(rig.port).write(get('Connection: Upgrade', `Upgrade: ${upgrade}`, ...fields))
  await self.until(/101 Switching Protocols[\s\S]*\r\n\r\n/)
  self.text = self.text.slice(self.text.indexOf('\r\n\r\n') + 4)
  return self
}

/** How a socket's other side ended: properly, or with a reset. */
export function endOf(socket: Socket): { ended: boolean; error: string } {
  const end = { ended: false, error: '' }
  socket.on('end', () => Object.assign(end, { ended: true }))
  socket.on('error', ({ message }) => Object.assign(end, { error: message }))
  return end
}
