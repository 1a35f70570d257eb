import { fstatSync } from 'node:fs'
import * as net from 'node:net'
import { getSystemErrorName } from 'node:util'
import type { Config, Inherited } from './config.ts'
import { limits } from './limits.ts'
import { explain } from './listener.ts'
import type { Doorway } from './orders.ts'

/**
 * A socket at which clients come in. The master has it open and accepts nothing, so that it outlives every worker; connections that come
 * while none accepts wait in the kernel.
 */
export interface Door extends Doorway {
  host: string
  port: number
  close(): void
}

/**
 * Opens what the settings say, or takes what has been opened for us; rejects with one clear sentence when that cannot be. An address that
 * is taken is tried again for `limits.bind`: the workers of a master that was killed may just be ending.
 */
export async function openDoors(config: Config): Promise<Door[]> {
  if (config.inherited !== undefined) return inherit(config.inherited)
  return [...(await bindAll(config, 'http', config.httpPort)), ...(await bindAll(config, 'https', config.tlsPort))]
}

/** What `node:cluster` binds with. Nothing else in Node.js binds without accepting. */
interface Handle {
  readonly fd: number
  getsockname(out: object): number
  close(): void
}
type CreateHandle = (address: string, port: number, family: 4 | 6, fd: number, flags: number) => Handle | number
const createHandle = (net as unknown as { _createServerHandle?: CreateHandle })._createServerHandle
const IPV6_ONLY = 1

async function bindAll({ hosts }: Config, name: Door['name'], port: number): Promise<Door[]> {
  const doors: Door[] = []
  for (const host of hosts) {
    const door = await bindSoon(name, host, port)
    if (typeof door !== 'string') doors.push(door)
    else if (hosts.length === 1 || !ABSENT.includes(door))
      throw new Error(explain({ code: door, message: door }, { host, port }))
  }
  if (doors.length === 0) throw new Error(`None of ${hosts.join(', ')} is an address of this machine.`)
  return doors
}

/** The machine has no such address at all, as `::` where IPv6 is off. */
const ABSENT = ['EAFNOSUPPORT', 'EADDRNOTAVAIL']

async function bindSoon(name: Door['name'], host: string, port: number): Promise<Door | string> {
  for (const deadline = Date.now() + limits.bind; ; ) {
    const door = bind(name, host, port)
    if (door !== 'EADDRINUSE' || Date.now() > deadline) return door
    await new Promise((resolve) => setTimeout(resolve, limits.bindAgain))
  }
}

/** The error's name when it cannot be. */
function bind(name: Door['name'], host: string, port: number): Door | string {
  if (createHandle === undefined)
    throw new Error(
      `Node.js ${process.version} cannot open a socket for others (net._createServerHandle is gone); start the router by a systemd socket.`,
    )
  const six = host.includes(':')
  const handle = createHandle(host, port, six ? 6 : 4, -1, six ? IPV6_ONLY : 0)
  if (typeof handle === 'number') return getSystemErrorName(handle)
  // an address that is taken shows only here
  const failed = handle.getsockname({})
  if (failed === 0) return { name, host, port, fd: handle.fd, close: () => handle.close() }
  handle.close()
  return getSystemErrorName(failed)
}

const FIRST = 3

function inherit({ count, names }: Inherited): Door[] {
  return Array.from({ length: count }, (_, i) => {
    const name = names[i]
    const which = `The inherited descriptor ${FIRST + i}`
    if (name !== 'http' && name !== 'https')
      throw new Error(
        `${which} is named "${name ?? ''}"; FileDescriptorName= of the socket unit must be http or https.`,
      )
    return { name, fd: FIRST + i, ...examine(FIRST + i, which) }
  })
}

/** That it is a TCP socket, of the internet, without a client. */
function examine(fd: number, which: string): Pick<Door, 'host' | 'port' | 'close'> {
  try {
    if (!fstatSync(fd).isSocket()) throw new Error('not a socket')
    const socket = new net.Socket({ fd, readable: false, writable: false })
    const address = socket.address()
    if (!('port' in address) || socket.remoteAddress !== undefined) throw new Error('not listening')
    return { host: address.address, port: address.port, close: () => socket.destroy() }
  } catch (error) {
    throw new Error(`${which} is no TCP socket that listens, so the router cannot take it.`, { cause: error })
  }
}
