import { connect, isIP } from 'node:net'
import { transport } from './config.ts'
import { type Conn, type Handler, SocketConn } from './conn.ts'
import { handles } from './handle.ts'
import { HandleConn } from './handle-conn.ts'

/** Connects to a backend; `handler.closed` without `connected` before it means that it could not. */
export function dial(to: { address: string; port: number }, handler: Handler, connected: () => void): Conn {
  const family = isIP(to.address)
  if (handles === undefined || transport === 'net' || family === 0) {
    const socket = connect({ host: to.address, port: to.port, allowHalfOpen: true })
    socket.once('connect', connected)
    return new SocketConn(socket, handler)
  }
  const handle = handles.newTcp()
  const conn = new HandleConn(handles, handle, handler)
  const request = handles.newConnect()
  request.oncomplete = (status) => {
    if (conn.dead) return
    if (status !== 0) return conn.destroy()
    handle.setNoDelay(true)
    conn.resume()
    connected()
  }
  const error =
    family === 6 ? handle.connect6(request, to.address, to.port) : handle.connect(request, to.address, to.port)
  if (error !== 0) conn.destroy()
  return conn
}
