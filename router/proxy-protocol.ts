import { isIPv4, isIPv6, SocketAddress } from 'node:net'

/**
 * The PROXY protocol, by which a load balancer says whom it speaks for, versions 1 and 2
 * (https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt). Pure, and strict: what is not exactly such a header is `bad`.
 */
export interface Origin {
  /** Of the client. */
  address: string
  /** That the client connected to. */
  port: number
}

export type ProxyHeader =
  | { state: 'more' }
  | { state: 'bad' }
  /** `used`: bytes of the header. `origin`: null when the balancer speaks for itself (LOCAL, UNKNOWN). */
  | { state: 'done'; used: number; origin: Origin | null }

const more = { state: 'more' } as const
const bad = { state: 'bad' } as const

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const FIRST = Buffer.from('PROXY ', 'latin1')
/** The longest line of version 1 with its CRLF. */
const LINE = 107
/** Of version 2, before the addresses. */
const FIXED = 16

/** `most`: the longest header of version 2, whose extensions are passed over. */
export function parseProxyHeader(input: Buffer, most: number): ProxyHeader {
  if (begins(input, SIGNATURE)) return input.length < FIXED ? more : version2(input, most)
  if (begins(input, FIRST)) return version1(input)
  return bad
}

const begins = (input: Buffer, sign: Buffer): boolean => {
  const length = Math.min(input.length, sign.length)
  return input.subarray(0, length).equals(sign.subarray(0, length))
}

function version1(input: Buffer): ProxyHeader {
  const end = input.subarray(0, LINE).indexOf('\r\n', 0, 'latin1')
  if (end === -1) return input.length < LINE ? more : bad
  const line = input.toString('latin1', 0, end)
  const used = end + 2
  if (/^PROXY UNKNOWN(?: [\x20-\x7e]*)?$/.test(line)) return { state: 'done', used, origin: null }
  const parts = line.split(' ')
  const [, family, source = '', destination = '', from = '', to = ''] = parts
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isPlainIPv6 : undefined
  if (parts.length !== 6 || !isAddress?.(source) || !isAddress(destination) || !isPort(from) || !isPort(to)) return bad
  return { state: 'done', used, origin: { address: canonical(source), port: Number(to) } }
}

/** Without a zone, which means something on the balancer's host only. */
const isPlainIPv6 = (text: string): boolean => isIPv6(text) && !text.includes('%')

const isPort = (text: string): boolean => /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65535

/** Command and version, family and transport, length, then both addresses, both ports, and extensions. */
function version2(input: Buffer, most: number): ProxyHeader {
  const command = input[12]
  const used = FIXED + input.readUInt16BE(14)
  if ((command !== LOCAL && command !== PROXY) || used > most) return bad
  const size = command === LOCAL || input[13] === UNSPECIFIED ? 0 : addressSize(input[13])
  if (size === undefined || FIXED + 2 * size + (size > 0 ? 4 : 0) > used) return bad
  if (input.length < used) return more
  if (size === 0) return { state: 'done', used, origin: null }
  const port = input.readUInt16BE(FIXED + 2 * size + 2)
  return { state: 'done', used, origin: { address: addressAt(input, FIXED, size), port } }
}

const LOCAL = 0x20
const PROXY = 0x21
const UNSPECIFIED = 0

/** TCP over IPv4 or IPv6; nothing else can carry what we serve. */
const addressSize = (family: number | undefined): number | undefined =>
  family === 0x11 ? 4 : family === 0x21 ? 16 : undefined

function addressAt(input: Buffer, at: number, size: number): string {
  const bytes = input.subarray(at, at + size)
  if (size === 4) return bytes.join('.')
  return canonical((bytes.toString('hex').match(/.{4}/g) ?? []).join(':'))
}

/** As the kernel writes it; an IPv4 address inside IPv6 is one of IPv4. */
export function canonical(address: string): string {
  if (!isIPv6(address)) return address
  return new SocketAddress({ address, family: 'ipv6' }).address.replace(/^::ffff:(?=\d+\.)/, '')
}
