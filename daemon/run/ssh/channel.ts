import type { Socket } from 'node:net'
import type { Connection, ServerChannel, Session } from 'ssh2'

/** One channel of a client, with what ssh2 leaves to its users: back-pressure, and knowing that the other end is gone. */
export interface Line {
  channel: ServerChannel
  /** Resolves when the client and its connection take more; false when it has gone. */
  write(data: Buffer | string, stream?: 'stdout' | 'stderr'): Promise<boolean>
  /** Aborts when the client has closed the channel or the connection. */
  gone: AbortSignal
  /** Ends the channel, with an exit status where one is expected. */
  end(status?: number): void
}

export function createLine(parts: {
  connection: Connection
  socket: Socket
  channel: ServerChannel
  session?: Session
}): Line {
  const { connection, socket, channel, session } = parts
  const gone = whenGone(connection, channel, session)
  channel.on('error', () => {})
  return {
    channel,
    gone,
    async write(data, stream = 'stdout') {
      if (gone.aborted) return false
      const target = stream === 'stderr' ? channel.stderr : channel
      await until(gone, (done) => target.write(data, () => done()))
      // ssh2 heeds the client's window only, which a client may open as wide as it likes
      if (socket.writableNeedDrain) await until(gone, (done) => socket.once('drain', done))
      return !gone.aborted
    },
    end(status) {
      if (gone.aborted) return
      if (status !== undefined) channel.exit(status)
      channel.end()
    },
  }
}

/** Three signs, because ssh2 keeps `close` back while there is unread input, and `finish` of stderr while some is unwritten. */
function whenGone(connection: Connection, channel: ServerChannel, session?: Session): AbortSignal {
  const gone = new AbortController()
  const abort = () => {
    connection.removeListener('close', abort)
    gone.abort(new Error('The client has gone.'))
  }
  connection.once('close', abort)
  session?.once('close', abort)
  channel.stderr.once('finish', abort)
  return gone.signal
}

/** Resolves when `start`'s callback is called, or when `signal` aborts: ssh2 never calls back for a channel that was closed. */
const until = (signal: AbortSignal, start: (done: () => void) => void): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      signal.removeEventListener('abort', done)
      resolve()
    }
    signal.addEventListener('abort', done)
    start(done)
  })
