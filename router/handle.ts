import type { Block } from './block.ts'

/**
 * Node's own TCP handles, which its sockets stand on. They are no public interface (DEP0111), so what we use of them is described here,
 * looked for once at start, and done without when it is not there.
 */
export interface Tcp {
  /** Called with this handle as `this`; what it returns is read into from then on. */
  onread: (this: Tcp) => Uint8Array | undefined
  /** Ours: who uses it. */
  owner: unknown
  useUserBuffer(bytes: Uint8Array): void
  readStart(): number
  readStop(): number
  /** Tries at once; whether something is left is in `state`. What `bytes` holds must stay until the request completes. */
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number
  writeLatin1String(request: WriteRequest, text: string): number
  /** Bytes that are left. */
  readonly writeQueueSize: number
  shutdown(request: Request): number
  /** Takes all down; `done` is called later with this handle as `this`. */
  close(done: (this: Tcp) => void): void
  /** The same with a reset. Not after `shutdown`: then it does nothing, nor can it be closed any more. */
  reset(done: (this: Tcp) => void): void
  setNoDelay(on: boolean): number
  getpeername(out: { address?: string }): number
  connect(request: Request, address: string, port: number): number
  connect6(request: Request, address: string, port: number): number
}

export interface Request {
  oncomplete: (this: Request, status: number) => void
  owner: unknown
}

export interface WriteRequest {
  oncomplete: (this: WriteRequest, status: number) => void
  owner: unknown
  /** Ours: kept until it is written, and the memory that it lies in. */
  bytes: Uint8Array | string
  block: Block | null | undefined
}

export interface Handles {
  newTcp(): Tcp
  newConnect(): Request
  newWrite(): WriteRequest
  newShutdown(): Request
  /** What the last call told: at `read` a count of bytes or an error, at `async` whether the last write has left something. */
  state: Int32Array
  read: number
  async: number
}

/** A read's result at the end of the stream (libuv's UV_EOF). */
export const END = -4095
/** There is nothing left to shut down (libuv's UV_ENOTCONN on Linux). */
export const NOT_CONNECTED = -107

const USED = ['useUserBuffer', 'readStart', 'readStop', 'writeBuffer', 'writeLatin1String', 'shutdown', 'close']
const USED_OF_TCP = [...USED, 'reset', 'setNoDelay', 'getpeername', 'connect', 'connect6']

/** Undefined where this Node does not have them, or has them otherwise. */
export const handles: Handles | undefined = find()

type Constructor<T> = { new (kind?: number): T; prototype: object }

function find(): Handles | undefined {
  try {
    const { binding } = process as unknown as { binding(name: string): Record<string, unknown> }
    const { TCP, TCPConnectWrap, constants } = binding('tcp_wrap')
    const { WriteWrap, ShutdownWrap, streamBaseState, kReadBytesOrError, kLastWriteWasAsync } = binding('stream_wrap')
    const Tcp = TCP as Constructor<Tcp>
    const Connect = TCPConnectWrap as Constructor<Request>
    const Write = WriteWrap as Constructor<WriteRequest>
    const Shutdown = ShutdownWrap as Constructor<Request>
    const { SOCKET } = constants as { SOCKET: number }
    const numbers = [SOCKET, kReadBytesOrError, kLastWriteWasAsync]
    const known =
      USED_OF_TCP.every((name) => name in Tcp.prototype) &&
      numbers.every((number) => typeof number === 'number') &&
      [Connect, Write, Shutdown].every((made) => typeof made === 'function') &&
      streamBaseState instanceof Int32Array
    if (!known) return undefined
    return {
      newTcp: () => new Tcp(SOCKET),
      newConnect: () => new Connect(),
      newWrite: () => new Write(),
      newShutdown: () => new Shutdown(),
      state: streamBaseState,
      read: Number(kReadBytesOrError),
      async: Number(kLastWriteWasAsync),
    }
  } catch {
    return undefined
  }
}
