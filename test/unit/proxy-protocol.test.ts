import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { clientOf, Gate, parseBalancers } from '../../router/gate.ts'
import { limits } from '../../router/limits.ts'
import { type ProxyHeader, parseProxyHeader } from '../../router/proxy-protocol.ts'
import { SIGNATURE, version2 } from '../vectors/proxy.ts'

const parse = (text: string): ProxyHeader => parseProxyHeader(Buffer.from(text, 'latin1'), limits.proxyHeader)
const from = (text: string): string => {
  const header = parse(text)
  if (header.state !== 'done') return header.state
  return header.origin === null ? 'itself' : `${header.origin.address} to ${header.origin.port}`
}

const good: [what: string, header: string, says: string][] = [
  ['version 1, IPv4', 'PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n', '192.0.2.1 to 443'],
  ['version 1, IPv6', 'PROXY TCP6 2001:DB8:0:0::1 2001:db8::2 1 80\r\n', '2001:db8::1 to 80'],
  ['version 1, IPv4 inside IPv6', 'PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 80\r\n', '192.0.2.1 to 80'],
  ['version 1, unknown', 'PROXY UNKNOWN\r\n', 'itself'],
  ['version 1, unknown with addresses', 'PROXY UNKNOWN ffff:f::1 x 1 2\r\n', 'itself'],
  ['version 2, IPv4', version2(0x21, 0x11, '\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb'), '192.0.2.1 to 443'],
  [
    'version 2, IPv6',
    version2(0x21, 0x21, `\x20\x01\x0d\xb8${'\0'.repeat(11)}\x01${'\0'.repeat(16)}\0\x01\0\x50`),
    '2001:db8::1 to 80',
  ],
  [
    'version 2 with extensions',
    version2(0x21, 0x11, `\x01\x02\x03\x04\x05\x06\x07\x08\0\x01\0\x02\x03\0\x04abcd`),
    '1.2.3.4 to 2',
  ],
  ['version 2, local', version2(0x20, 0x00, ''), 'itself'],
  ['version 2, local with addresses', version2(0x20, 0x11, '\x01\x02\x03\x04\x05\x06\x07\x08\0\x01\0\x02'), 'itself'],
  ['version 2, unspecified', version2(0x21, 0x00, 'whatever'), 'itself'],
]

for (const [what, header, says] of good)
  test(`${what}: read, wherever it is cut, and what follows is not touched`, () => {
    assert.is(from(header), says)
    const behind = parse(`${header}PROXY UNKNOWN\r\n`)
    assert.is(behind.state === 'done' && behind.used, header.length)
    for (let cut = 0; cut < header.length; cut++) assert.is(parse(header.slice(0, cut)).state, 'more')
  })

const line = (rest: string): string => `PROXY ${rest}\r\n`

const bad: Record<string, string> = {
  'lower case': 'proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n',
  'no header': 'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'TLS at once': '\x16\x03\x01\x02\0',
  'two blanks': line('TCP4  1.2.3.4 5.6.7.8 1 2'),
  'a blank at the end': line('TCP4 1.2.3.4 5.6.7.8 1 2 '),
  'a tab': line('TCP4\t1.2.3.4 5.6.7.8 1 2'),
  'too few parts': line('TCP4 1.2.3.4 5.6.7.8 1'),
  'too many parts': line('TCP4 1.2.3.4 5.6.7.8 1 2 3'),
  'a bare line feed': 'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n\r\n',
  'another family': line('TCP5 1.2.3.4 5.6.7.8 1 2'),
  UDP: line('UDP4 1.2.3.4 5.6.7.8 1 2'),
  'the other family’s address': line('TCP4 ::1 ::1 1 2'),
  'IPv4 as IPv6': line('TCP6 1.2.3.4 5.6.7.8 1 2'),
  'one address of each family': line('TCP6 ::1 5.6.7.8 1 2'),
  'an address with zeros': line('TCP4 01.2.3.4 5.6.7.8 1 2'),
  'an address above 255': line('TCP4 1.2.3.256 5.6.7.8 1 2'),
  'a name': line('TCP4 localhost 5.6.7.8 1 2'),
  'a zone': line('TCP6 fe80::1%lo fe80::2 1 2'),
  'a port above 65535': line('TCP4 1.2.3.4 5.6.7.8 1 65536'),
  'a port with a zero': line('TCP4 1.2.3.4 5.6.7.8 1 080'),
  'a port with a sign': line('TCP4 1.2.3.4 5.6.7.8 +1 80'),
  'no port': line('TCP4 1.2.3.4 5.6.7.8  80'),
  'a line above 107': line(`UNKNOWN ${'a'.repeat(100)}`),
  'a line that does not end': `PROXY UNKNOWN ${'a'.repeat(100)}`,
  'a NUL in what is unknown': line('UNKNOWN \0'),
  'version 3': version2(0x31, 0x11, '\0'.repeat(12)),
  'version 1 in binary': version2(0x11, 0x11, '\0'.repeat(12)),
  'another command': version2(0x22, 0x11, '\0'.repeat(12)),
  'a datagram': version2(0x21, 0x12, '\0'.repeat(12)),
  'a Unix socket': version2(0x21, 0x31, '\0'.repeat(216)),
  'a length below the addresses': version2(0x21, 0x11, '\0'.repeat(11)),
  'a length below those of IPv6': version2(0x21, 0x21, '\0'.repeat(12)),
  'a length above 4 KiB': version2(0x21, 0x11, '\0'.repeat(4100)).slice(0, 16),
  'a signature that ends wrong': `${SIGNATURE.slice(0, -1)}\r${'\0'.repeat(16)}`,
}

for (const [what, header] of Object.entries(bad))
  test(`${what} is no PROXY header`, () => {
    assert.is(from(header), 'bad')
  })

test('of IPv6 a /64 is one client; this machine is nobody', () => {
  assert.is(clientOf('192.0.2.1'), '192.0.2.1')
  assert.is(clientOf('2001:db8:0:1::1'), clientOf('2001:db8:0:1:ffff:1:2:3'))
  assert.is.not(clientOf('2001:db8:0:1::1'), clientOf('2001:db8:0:2::1'))
  assert.is(clientOf('2001:db8::'), '2001:db8:0:0')
  for (const own of ['127.0.0.1', '127.9.9.9', '::1']) assert.is(clientOf(own), undefined)
})

test('connections are counted in all and by client, until they have gone', () => {
  const said: string[] = []
  const gate = new Gate({ ...limits, connections: 3, connectionsPerAddress: 2 }, undefined, (text) => said.push(text))
  const first = gate.enter('192.0.2.1')
  assert.ok(first)
  assert.ok(gate.enter('192.0.2.1'))
  assert.is(gate.enter('192.0.2.1'), null)
  const other = gate.enter('192.0.2.2')
  assert.is(gate.enter('192.0.2.3'), null)
  assert.equal(gate.refused, { connections: 1, address: 1, proxy: 0 })
  assert.is(said.length, 1)
  first?.()
  assert.ok(gate.enter('192.0.2.1'))
  assert.is(gate.enter('192.0.2.3'), null)
  other?.()
  assert.ok(gate.enter('192.0.2.3'))
})

test('load balancers are named by address or range', () => {
  const list = parseBalancers('10.0.0.0/8, 2001:db8::/32,192.0.2.1')
  for (const address of ['10.9.9.9', '192.0.2.1']) assert.ok(list.check(address))
  assert.ok(list.check('2001:db8::5', 'ipv6'))
  assert.not(list.check('192.0.2.2'))
  assert.not(list.check('2001:db9::5', 'ipv6'))
  assert.not(parseBalancers('').check('127.0.0.1'))
  for (const none of ['x', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/8/8', '::/129', '10.0.0.0/-1', 'all'])
    assert.throws(() => parseBalancers(none), /SLUICE_ROUTER_PROXY has "/)
})

test.run()
