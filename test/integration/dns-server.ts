import { createSocket } from 'node:dgram'
import { once } from 'node:events'

/** A name server on loopback: `A` records of 127.0.0.1 for the names that it knows, no such name for all others (RFC 1035 4). */
export interface NameServer {
  port: number
  known: Set<string>
  /** Names that were asked for. */
  asked: string[]
  /** While set, it hears and says nothing. */
  silent: boolean
  close(): void
}

const A = 1
const NO_SUCH_NAME = 3

export async function startNameServer(): Promise<NameServer> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const server: NameServer = {
    port: socket.address().port,
    known: new Set(),
    asked: [],
    silent: false,
    close: () => socket.close(),
  }
  socket.on('message', (query, { port, address }) => {
    if (server.silent) return
    const { name, end } = questionOf(query)
    const known = server.known.has(name.toLowerCase())
    server.asked.push(name.toLowerCase())
    const records = known && query.readUInt16BE(end) === A ? [addressRecord()] : []
    const head = Buffer.from([
      query[0] ?? 0,
      query[1] ?? 0,
      0x81,
      0x80 | (known ? 0 : NO_SUCH_NAME),
      0,
      1,
      0,
      records.length,
      0,
      0,
      0,
      0,
    ])
    socket.send(Buffer.concat([head, query.subarray(12, end + 4), ...records]), port, address)
  })
  return server
}

function questionOf(query: Buffer): { name: string; end: number } {
  const labels: string[] = []
  let at = 12
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join('.'), end: at + 1 }
}

/** Of the name that is asked for, for no time. */
const addressRecord = (): Buffer => Buffer.from([0xc0, 12, 0, A, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1])
