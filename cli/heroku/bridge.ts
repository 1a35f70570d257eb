import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { platform, trusted } from '../platform.ts'
import { Failure } from '../settings.ts'

/** A port of this machine for one client, this machine's ssh, that leads to a dyno by the platform's own port. */
export interface Bridge {
  port: number
  close(): void
}

/** Has the platform turn a request into a connection. */
export async function bridgeTo(address: URL): Promise<Bridge> {
  const remote = await upgraded(address)
  const server = createServer({ pauseOnConnect: false }, (local) => {
    server.close()
    local.setNoDelay(true)
    local.pipe(remote).pipe(local)
    for (const socket of [local, remote]) socket.on('error', () => socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close()
      remote.destroy()
    },
  }
}

async function upgraded(address: URL): Promise<Socket> {
  const { request } = address.protocol === 'https:' ? await import('node:https') : await import('node:http')
  const headers = { connection: 'Upgrade', upgrade: 'tcp' }
  const asking = request(address, { headers, ...(await trusted(await platform())) }).end()
  return new Promise((resolve, reject) => {
    asking.once('upgrade', (_, socket, head) => {
      socket.setNoDelay(true)
      if (head.length > 0) socket.unshift(head)
      resolve(socket)
    })
    asking.once('response', ({ statusCode }) =>
      reject(new Failure(`The dyno cannot be reached: the answer is ${statusCode}.`)),
    )
    asking.once('error', ({ message }) => reject(new Failure(`The dyno cannot be reached: ${message}`)))
  })
}
