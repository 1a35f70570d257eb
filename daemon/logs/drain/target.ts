import { BlockList, isIP } from 'node:net'
import { metadata } from '../../metadata.ts'

/**
 * Which machines a drain may reach. Users choose the URL and the daemon connects, so it must not be led to what only the daemon can
 * reach: this machine, addresses of the link, and other apps. Private networks are allowed, because log servers are in them.
 */
export interface Targets {
  /** Whether the operator allows whatever this name means. */
  allowsHost(host: string): boolean
  /** `address` is IPv4 or IPv6 in plain form. */
  allowsAddress(address: string): boolean
}

/** What the operator allows beside the rest: names, addresses, and networks (`10.0.0.0/8`). Throws for anything else. */
export interface Allowed {
  hosts: string[]
  networks: string[]
}

const REFUSED = [
  // this machine, and nowhere
  ...['0.0.0.0/8', '127.0.0.0/8', '::/128', '::1/128'],
  ...metadata.ipv4,
  ...metadata.ipv6,
  // multicast, reserved, broadcast
  ...['224.0.0.0/4', '240.0.0.0/4', 'ff00::/8'],
]

/** `pool` is the network that apps get theirs from. */
export function createTargets(pool: string, { hosts, networks }: Allowed): Targets {
  const refused = listOf([...REFUSED, pool])
  const allowed = listOf(networks)
  return {
    allowsHost: (host) => hosts.includes(host),
    allowsAddress(text) {
      const [address = ''] = text.split('%')
      return isIP(address) !== 0 && formsOf(address).every((form) => has(allowed, form) || !has(refused, form))
    },
  }
}

export function parseAllowed(text: string): Allowed {
  const allowed: Allowed = { hosts: [], networks: [] }
  for (const entry of text.split(',').map((part) => part.trim().toLowerCase())) {
    if (entry === '') continue
    if (isNetwork(entry)) allowed.networks.push(entry)
    else if (/^(?=.*[a-z])[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(entry)) allowed.hosts.push(entry)
    else
      throw new Error(
        `SLUICE_DRAIN_ALLOW has "${entry}"; it must be host names, addresses and networks such as 10.0.0.0/8, comma-separated.`,
      )
  }
  return allowed
}

function isNetwork(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/')
  const version = isIP(address)
  const bits = prefix === undefined ? 0 : /^\d{1,3}$/.test(prefix) ? Number(prefix) : 999
  return version !== 0 && rest.length === 0 && bits <= (version === 4 ? 32 : 128)
}

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', prefix] = network.split('/')
    const family = isIP(address) === 4 ? 'ipv4' : 'ipv6'
    list.addSubnet(address, Number(prefix ?? (family === 'ipv4' ? 32 : 128)), family)
  }
  return list
}

const has = (list: BlockList, address: string): boolean => list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')

/** An IPv6 address may lead to the IPv4 address inside it: mapped and compatible (RFC 4291), NAT64 (RFC 6052), 6to4 (RFC 3056). */
function formsOf(address: string): string[] {
  if (isIP(address) !== 6) return [address]
  const groups = groupsOf(address)
  const inside = (high = 0, low = 0): string => [high >> 8, high & 255, low >> 8, low & 255].join('.')
  const last = inside(groups[6], groups[7])
  const zeros = (to: number): boolean => groups.slice(0, to).every((group) => group === 0)
  if (zeros(5) && groups[5] === 0xffff) return [last]
  if (zeros(6) && (groups[6] !== 0 || (groups[7] ?? 0) > 1)) return [address, last]
  if (groups[0] === 0x64 && groups[1] === 0xff9b) return [address, last]
  if (groups[0] === 0x2002) return [address, inside(groups[1], groups[2])]
  return [address]
}

/** The eight numbers of a valid IPv6 address. */
function groupsOf(address: string): number[] {
  const plain = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) =>
    [Number(a) * 256 + Number(b), Number(c) * 256 + Number(d)].map((group) => group.toString(16)).join(':'),
  )
  const [head = [], tail = []] = plain.split('::').map((half) => half.split(':').filter((group) => group !== ''))
  const middle = Array<string>(8 - head.length - tail.length).fill('0')
  return [...head, ...middle, ...tail].map((group) => Number.parseInt(group, 16))
}
