import { once } from 'node:events'
import { connect, type TLSSocket } from 'node:tls'
import { eventually } from './router-rig.ts'

/** Frames of HTTP/2 written and read by hand, for clients that no library wants to be (RFC 9113 4.1). */
export interface Frame {
  type: number
  flags: number
  stream: number
  payload: Buffer
}

export const DATA = 0
export const HEADERS = 1
export const RST_STREAM = 3
export const SETTINGS = 4
export const PING = 6
export const GOAWAY = 7
export const WINDOW_UPDATE = 8
export const CONTINUATION = 9

export const END_STREAM = 1
export const ACK = 1
export const END_HEADERS = 4

export function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

export const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** Fields as literals without indexing and without Huffman's code (RFC 7541 6.2.2). */
export const fields = (...list: [name: string, value: string][]): Buffer =>
  Buffer.concat(list.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]))

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1')
  const length: number[] = []
  if (bytes.length < 127) length.push(bytes.length)
  else {
    length.push(127)
    let rest = bytes.length - 127
    for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128)
    length.push(rest)
  }
  return Buffer.concat([Buffer.from(length), bytes])
}

export const get = (path = '/', host = 'a.localhost'): [string, string][] => [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':path', path],
  [':authority', host],
]

/** A client that has shaken hands and sent its preface, and keeps every frame that comes. */
export interface RawHttp2 {
  socket: TLSSocket
  frames: Frame[]
  closed: boolean
  write(...frames: Buffer[]): void
  /** Waits for such a frame. */
  until(what: string, test: (frame: Frame) => boolean): Promise<Frame>
  untilClosed(): Promise<void>
}

export async function rawHttp2(port: number, settings = Buffer.alloc(0)): Promise<RawHttp2> {
  const options = { port, host: '127.0.0.1', servername: 'a.localhost', ALPNProtocols: ['h2'] }
  const socket = connect({ ...options, rejectUnauthorized: false })
  const client: RawHttp2 = {
    socket,
    frames: [],
    closed: false,
    write: (...frames) => void socket.write(Buffer.concat(frames)),
    async until(what, test) {
      await eventually(
        () => client.frames.some(test),
        () => `${what} among ${client.frames.map(({ type, stream }) => `${type}/${stream}`).join(' ')}`,
      )
      return client.frames.find(test) as Frame
    },
    untilClosed: () =>
      eventually(
        () => client.closed,
        () => 'the end of the connection',
      ),
  }
  let rest = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
      const length = rest.readUIntBE(0, 3)
      const payload = rest.subarray(9, 9 + length)
      client.frames.push({ type: rest[3] ?? 0, flags: rest[4] ?? 0, stream: rest.readUInt32BE(5), payload })
      rest = rest.subarray(9 + length)
    }
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    client.closed = true
  })
  await once(socket, 'secureConnect')
  client.write(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(SETTINGS, 0, 0, settings))
  return client
}

/** The error code of RST_STREAM; of GOAWAY it is behind the last stream's number. */
export const codeOf = ({ type, payload }: Frame): number => payload.readUInt32BE(type === GOAWAY ? 4 : 0)
