import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { readConfig } from '../../daemon/config.ts'
import { parseDestinations, type Reach, ruleset } from '../../daemon/engine/reach.ts'

const reach: Reach = { pool: '10.213.0.0/16', routerPorts: [80, 443], allow: [], deny: [] }
const chainOf = (rules: string, name: string): string => rules.split(`chain ${name} {`)[1]?.split('}\n')[0] ?? ''

test('the metadata addresses of clouds are closed, whatever the operator says of the networks that they are in', () => {
  const rules = chainOf(ruleset('abc', { ...reach, deny: [{ network: '10.0.0.0/8' }] }), 'outside')
  for (const network of ['169.254.0.0/16', '100.100.100.200/32', '168.63.129.16/32']) assert.match(rules, network)
  assert.match(rules, /meta nfproto ipv6 counter reject.*\n\s+meta l4proto/)
})

test('what the operator allows comes before all that is closed, and other apps before that', () => {
  const rules = ruleset('abc', {
    ...reach,
    allow: [{ network: '169.254.1.1', port: 80 }],
    deny: [{ network: '10.0.0.0/8' }],
  })
  const outside = chainOf(rules, 'outside')
  assert.ok(
    outside.indexOf('ip daddr 169.254.1.1 meta l4proto { tcp, udp } th dport 80 accept') <
      outside.indexOf('169.254.0.0/16'),
  )
  assert.match(outside, 'ip daddr 10.0.0.0/8 counter reject')
  const others = ['oifname "sluabc-build"', 'oifname "slu*"', 'ip daddr 10.213.0.0/16'].map((to) =>
    outside.indexOf(`${to} counter reject`),
  )
  assert.ok(others.every((place) => place >= 0 && place < outside.indexOf('ip daddr 169.254.1.1')))
})

test('of this machine only the router is open', () => {
  assert.match(
    chainOf(ruleset('abc', reach), 'machine'),
    /tcp dport { 80, 443 } accept\n\s+counter reject with icmpx admin-prohibited\n/,
  )
})

test('two installations have tables and bridges of their own', () => {
  const rules = ruleset('1f2e3d4c-0000', reach)
  assert.match(rules, 'table inet sluice_1f2e3d4c0000')
  assert.match(rules, 'iifname "slu1f2e3d-*"')
})

test('destinations are IPv4 addresses and networks with or without a port, and others are refused by name', () => {
  assert.equal(parseDestinations('S', ' 10.0.0.0/8, 192.0.2.7:5432,10.1.1.1 ,'), [
    { network: '10.0.0.0/8' },
    { network: '192.0.2.7', port: 5432 },
    { network: '10.1.1.1' },
  ])
  for (const wrong of [
    'db.internal',
    '10.0.0.0/33',
    '1.2.3',
    '10.0.0.1:0',
    '10.0.0.1:70000',
    '::1',
    '10.0.0.1; accept',
    '01.2.3.4',
  ])
    assert.throws(
      () => parseDestinations('SLUICE_NETWORK_ALLOW', wrong),
      /SLUICE_NETWORK_ALLOW has ".*10\.0\.0\.0\/8/,
      wrong,
    )
})

test('the firewall is on unless it is turned off', () => {
  const { reach } = readConfig({ SLUICE_HTTP_PORT: '80', SLUICE_TLS_PORT: '443', SLUICE_NETWORK_DENY: '10.0.0.0/8' })
  assert.equal(reach, { pool: '10.213.0.0/16', routerPorts: [80, 443], allow: [], deny: [{ network: '10.0.0.0/8' }] })
  assert.is(readConfig({ SLUICE_FIREWALL: 'off' }).reach, undefined)
  assert.throws(() => readConfig({ SLUICE_FIREWALL: 'no' }), /SLUICE_FIREWALL is "no"; it must be on or off\./)
})

test.run()
