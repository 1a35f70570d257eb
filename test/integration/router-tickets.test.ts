import { once } from 'node:events'
import type { Server } from 'node:net'
import { type ConnectionOptions, connect, type Server as TlsServer } from 'node:tls'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Contexts } from '../../router/contexts.ts'
import { listenTls } from '../../router/listener.ts'
import { freshKeys, installTicketKeys, ROTATION, rotated } from '../../router/tickets.ts'
import { present } from '../../router/tls.ts'
import { type Made, make } from './chains.ts'
import { portOf, type Rig, startRig } from './router-rig.ts'

/** Tickets, which save a handshake. */

let rig: Rig
let pair: Made
const servers: Server[] = []

test.before.each(async () => {
  rig = await startRig()
  pair = await make({ names: ['a.localhost'] })
})

test.after.each(async () => {
  for (const server of servers.splice(0)) server.close()
  await rig.close()
})

async function start(tickets = freshKeys(Date.now())): Promise<TlsServer> {
  const contexts = new Contexts(rig.router, () => {})
  const server = await listenTls(rig.router, { host: '127.0.0.1', port: 0 }, { ...pair, contexts })
  installTicketKeys(server, tickets)
  servers.push(server)
  return server
}

const bare = ({ cert, key }: Made) => ({ cert, key })

/** True when the handshake was saved; `ticket` is the newest that came. */
async function visit(server: TlsServer, options: ConnectionOptions = {}): Promise<{ saved: boolean; ticket: Buffer }> {
  const to = { port: portOf(server), host: '127.0.0.1', servername: 'a.localhost', rejectUnauthorized: false }
  const socket = connect({ ...to, ...options })
  let ticket: Buffer | undefined
  socket.on('session', (session: Buffer) => {
    ticket = session
  })
  await once(socket, 'secureConnect')
  const saved = socket.isSessionReused()
  // A renewed ticket of TLS 1.2 comes within the handshake, without an event.
  const resumed = socket.getSession() ?? Buffer.alloc(0)
  socket.write('GET / HTTP/1.1\r\nHost: none\r\nConnection: close\r\n\r\n')
  socket.resume()
  await once(socket, 'close')
  return { saved, ticket: ticket ?? resumed }
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const)
  test(`a ticket saves the handshake until its key is two rotations old: ${version}`, async () => {
    const keys = freshKeys(0)
    const server = await start(keys)
    const only = { minVersion: version, maxVersion: version }
    const first = await visit(server, only)
    assert.not(first.saved)
    const session = first.ticket
    assert.ok((await visit(server, { ...only, session })).saved)
    const next = rotated(keys, ROTATION)
    installTicketKeys(server, next)
    const renewed = await visit(server, { ...only, session })
    assert.ok(renewed.saved)
    installTicketKeys(server, rotated(next, 2 * ROTATION))
    assert.not((await visit(server, { ...only, session })).saved)
    assert.ok((await visit(server, { ...only, session: renewed.ticket })).saved)
  })

test('a ticket of one process saves the handshake with another that has the same keys, and with no other', async () => {
  const keys = freshKeys(0)
  const [one, two, stranger] = [
    await start(keys),
    await start({ ...keys, current: Buffer.from(keys.current) }),
    await start(),
  ]
  const { ticket: session } = await visit(one)
  assert.ok((await visit(two, { session })).saved)
  assert.not((await visit(stranger, { session })).saved)
})

test('a renewed certificate of the platform’s keeps tickets, and is shown to those who have none', async () => {
  const keys = freshKeys(0)
  const server = await start(keys)
  const { ticket: session } = await visit(server)
  const renewed = await make({ subject: 'CN=renewed', names: ['a.localhost'] })
  present(server, bare(renewed))
  installTicketKeys(server, keys)
  assert.ok((await visit(server, { session })).saved)
  const socket = connect({ port: portOf(server), host: '127.0.0.1', rejectUnauthorized: false, maxVersion: 'TLSv1.2' })
  await once(socket, 'secureConnect')
  assert.is(socket.getPeerCertificate().subject.CN, 'renewed')
  assert.match(socket.getCipher().name, /^ECDHE-ECDSA-/)
  socket.destroy()
})

test.run()
