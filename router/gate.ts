import { BlockList, isIP, isIPv6, type Server, type Socket } from 'node:net'
import { joined } from './input.ts'
import type { Limits } from './limits.ts'
import { canonical, type Origin, parseProxyHeader } from './proxy-protocol.ts'

/**
 * Who may come in. It stands before what a server does with a new connection.
 *
 *   accepted --too many--> closed
 *   accepted --from a load balancer--> header --whole--> counted      header --malformed, late--> closed
 *   accepted --from anyone else--> counted --too many of this client--> closed
 *   counted --> served
 *
 * Load balancers are those that the settings name: each of their connections must begin with a PROXY header, whose word is taken. Anyone
 * else is who the kernel says, and a PROXY header of theirs is a malformed request; so nobody can lie about where they come from.
 */
export class Gate {
  /** Connections closed, by reason. */
  readonly refused = { connections: 0, address: 0, proxy: 0 }
  /** There are load balancers; their connections are read here first, as sockets. */
  readonly readsHeaders: boolean
  private readonly limits: Limits
  private readonly balancers: BlockList
  private readonly warn: (sentence: string) => void
  private open = 0
  /** Connections of each client that has any. */
  private readonly counts = new Map<string, number>()
  /** What a PROXY header said, by the connection's four ends. */
  private readonly origins = new Map<string, Origin>()
  private warned = Number.NEGATIVE_INFINITY

  constructor(limits: Limits, balancers = new BlockList(), warn: (sentence: string) => void = () => {}) {
    this.readsHeaders = balancers.rules.length > 0
    this.limits = limits
    this.balancers = balancers
    this.warn = warn
  }

  guard(server: Server): void {
    const listeners = server.listeners('connection')
    server.removeAllListeners('connection')
    server.on('connection', (socket: Socket) =>
      this.admit(socket, () => {
        for (const listener of listeners) listener.call(server, socket)
      }),
    )
  }

  /** Where a connection, or TLS inside it, comes from. */
  originOf(socket: Socket): Origin {
    const told = this.origins.size > 0 ? this.origins.get(ends(socket)) : undefined
    return told ?? { address: canonical(socket.remoteAddress ?? ''), port: socket.localPort ?? 0 }
  }

  /** For a connection that is no socket and has no header: to be called when it has gone, or null when it may not come in. */
  enter(address: string): (() => void) | null {
    if (this.open >= this.limits.connections) return this.refuse('connections')
    const key = clientOf(address)
    if (!this.count(key)) return this.refuse('address')
    this.open++
    return () => {
      this.open--
      this.uncount(key)
    }
  }

  private admit(socket: Socket, serve: () => void): void {
    if (this.open >= this.limits.connections) return this.turnAway(socket, 'connections')
    this.open++
    socket.once('close', () => this.open--)
    const address = canonical(socket.remoteAddress ?? '')
    if (isBalancer(this.balancers, address)) this.readHeader(socket, () => this.admitClient(socket, serve))
    else this.admitClient(socket, serve)
  }

  private admitClient(socket: Socket, serve: () => void): void {
    const key = clientOf(this.originOf(socket).address)
    if (!this.count(key)) return this.turnAway(socket, 'address')
    socket.once('close', () => this.uncount(key))
    serve()
  }

  /** False when the client has as many as it may have. */
  private count(key: string | undefined): boolean {
    if (key === undefined) return true
    const count = this.counts.get(key) ?? 0
    if (count >= this.limits.connectionsPerAddress) return false
    this.counts.set(key, count + 1)
    return true
  }

  private uncount(key: string | undefined): void {
    if (key === undefined) return
    const count = this.counts.get(key) ?? 0
    if (count > 1) this.counts.set(key, count - 1)
    else this.counts.delete(key)
  }

  private readHeader(socket: Socket, next: () => void): void {
    let input: Buffer | null = null
    const over = (): void => {
      clearTimeout(late)
      socket.off('readable', read)
      socket.off('close', over)
      socket.off('end', fail)
    }
    const fail = (): void => {
      over()
      this.turnAway(socket, 'proxy')
    }
    const late = setTimeout(fail, this.limits.proxyHeaderTime)
    const read = (): void => {
      for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) input = joined(input, chunk as Buffer)
      const header = input === null ? ({ state: 'more' } as const) : parseProxyHeader(input, this.limits.proxyHeader)
      if (header.state === 'more') return
      if (header.state !== 'done' || input === null) return fail()
      over()
      if (header.origin !== null) this.remember(socket, header.origin)
      if (input.length > header.used) socket.unshift(input.subarray(header.used))
      next()
    }
    socket.on('error', () => socket.destroy())
    socket.on('readable', read)
    socket.on('close', over)
    socket.on('end', fail)
  }

  private remember(socket: Socket, origin: Origin): void {
    const key = ends(socket)
    this.origins.set(key, origin)
    socket.once('close', () => this.origins.delete(key))
  }

  private turnAway(socket: Socket, why: keyof Gate['refused']): void {
    socket.destroy()
    this.refuse(why)
  }

  private refuse(why: keyof Gate['refused']): null {
    this.refused[why]++
    const now = Date.now()
    if (now >= this.warned + WARN_EVERY) {
      this.warned = now
      this.warn(reasons[why])
    }
    return null
  }
}

const WARN_EVERY = 60_000

const reasons: Record<keyof Gate['refused'], string> = {
  connections: 'Clients are turned away: there are as many connections as the router takes.',
  address: 'A client is turned away: it has as many connections as the router takes from one address.',
  proxy: 'A connection of a load balancer is closed: it did not begin with a PROXY header. Is that switched on there?',
}

const ends = ({ remoteAddress, remotePort, localAddress, localPort }: Socket): string =>
  `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`

const isBalancer = (balancers: BlockList, address: string): boolean =>
  isIP(address) !== 0 && balancers.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')

/**
 * Who counts as one client: an IPv4 address; of IPv6 the /64, which is what one gets at the least. This machine is not counted: a proxy on
 * it speaks for everybody.
 */
export function clientOf(address: string): string | undefined {
  if (address === '' || address === '::1' || address.startsWith('127.')) return undefined
  if (!isIPv6(address)) return address
  const [head = '', tail = ''] = address.split('%')[0]?.split('::') ?? []
  const front = head === '' ? [] : head.split(':')
  const back = tail === '' ? [] : tail.split(':')
  const groups = [...front, ...Array(Math.max(0, 8 - front.length - back.length)).fill('0'), ...back]
  return groups.slice(0, 4).join(':')
}

/** Addresses and CIDR ranges, comma-separated; throws a sentence that names what is none. */
export function parseBalancers(text: string): BlockList {
  const list = new BlockList()
  for (const item of text.split(',').map((part) => part.trim())) {
    if (item === '') continue
    const [address = '', bits, ...rest] = item.split('/')
    const family = isIP(address)
    const most = family === 6 ? 128 : 32
    const length = bits === undefined ? most : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN
    if (family === 0 || rest.length > 0 || !(length <= most))
      throw new Error(
        `SLUICE_ROUTER_PROXY has "${item}"; it must be addresses or ranges, such as 10.0.0.1 or 10.0.0.0/8.`,
      )
    list.addSubnet(address, length, family === 6 ? 'ipv6' : 'ipv4')
  }
  return list
}
