import type { Attributes } from './dyno-file.ts'

/**
 * The part of SFTP version 3 that reads files (https://datatracker.ietf.org/doc/html/draft-ietf-secsh-filexfer-02). ssh2 has a server's
 * side of it too, which answers into memory whether or not the client reads; here one request is answered before the next is taken.
 */
export type Request =
  | { kind: 'init' }
  | { kind: 'open'; id: number; path: string; writes: boolean }
  | { kind: 'close' | 'fstat'; id: number; handle: string }
  | { kind: 'read'; id: number; handle: string; offset: number; length: number }
  | { kind: 'stat'; id: number; path: string; follow: boolean }
  | { kind: 'realpath'; id: number; path: string }
  | { kind: 'change' | 'other'; id: number }

const TYPE = {
  init: 1,
  version: 2,
  open: 3,
  close: 4,
  read: 5,
  lstat: 7,
  fstat: 8,
  realpath: 16,
  stat: 17,
  status: 101,
  handle: 102,
  data: 103,
  name: 104,
  attrs: 105,
} as const

/** write, setstat, fsetstat, remove, mkdir, rmdir, rename, symlink */
const CHANGES = new Set([6, 9, 10, 13, 14, 15, 18, 20])
/** write, append, create, truncate, exclusive */
const WRITES = 0x3e

/** The packets in a stream, without their lengths. Throws for one that is longer than `longest`. */
export async function* packetsIn(chunks: AsyncIterable<Buffer>, longest: number): AsyncGenerator<Buffer> {
  let rest = Buffer.alloc(0)
  for await (const chunk of chunks) {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 4) {
      const length = rest.readUInt32BE()
      if (length === 0 || length > longest) throw new RangeError(`a packet of ${length} bytes`)
      if (rest.length < 4 + length) break
      yield rest.subarray(4, 4 + length)
      rest = rest.subarray(4 + length)
    }
  }
}

/** Throws RangeError when the packet ends too early. */
export function parseRequest(packet: Buffer): Request {
  const type = packet.readUInt8()
  if (type === TYPE.init) return { kind: 'init' }
  const id = packet.readUInt32BE(1)
  let at = 5
  const number = () => {
    at += 4
    return packet.readUInt32BE(at - 4)
  }
  const text = () => {
    const end = number() + at
    if (end > packet.length) throw new RangeError('a packet that ends too early')
    const found = packet.toString('utf8', at, end)
    at = end
    return found
  }
  switch (type) {
    case TYPE.open:
      return { kind: 'open', id, path: text(), writes: (number() & WRITES) !== 0 }
    case TYPE.close:
      return { kind: 'close', id, handle: text() }
    case TYPE.fstat:
      return { kind: 'fstat', id, handle: text() }
    case TYPE.read:
      return { kind: 'read', id, handle: text(), offset: number() * 2 ** 32 + number(), length: number() }
    case TYPE.stat:
    case TYPE.lstat:
      return { kind: 'stat', id, path: text(), follow: type === TYPE.stat }
    case TYPE.realpath:
      return { kind: 'realpath', id, path: text() }
    default:
      return { kind: CHANGES.has(type) ? 'change' : 'other', id }
  }
}

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}

const bytes = (value: string | Buffer): Buffer => {
  const body = Buffer.from(value)
  return Buffer.concat([uint32(body.length), body])
}

function packet(type: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat([Buffer.from([type]), ...parts])
  return Buffer.concat([uint32(body.length), body])
}

/** Size, owner, permissions and times are there. */
const attributes = ({ size, uid, gid, mode, accessed, modified }: Attributes): Buffer =>
  Buffer.concat([0x0f, Math.floor(size / 2 ** 32), size, uid, gid, mode, accessed, modified].map(uint32))

export const answer = {
  version: (): Buffer => packet(TYPE.version, uint32(3)),
  status: (id: number, code: number, message: string): Buffer =>
    packet(TYPE.status, uint32(id), uint32(code), bytes(message), bytes('en')),
  handle: (id: number, handle: string): Buffer => packet(TYPE.handle, uint32(id), bytes(handle)),
  data: (id: number, data: Buffer): Buffer => packet(TYPE.data, uint32(id), bytes(data)),
  name: (id: number, path: string): Buffer =>
    packet(TYPE.name, uint32(id), uint32(1), bytes(path), bytes(path), uint32(0)),
  attributes: (id: number, found: Attributes): Buffer => packet(TYPE.attrs, uint32(id), attributes(found)),
}
