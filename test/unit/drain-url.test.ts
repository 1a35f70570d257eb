import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { UserError } from '../../daemon/errors.ts'
import { createTargets, parseAllowed } from '../../daemon/logs/drain/target.ts'
import { parseDrainUrl, placeOf, sameUrl } from '../../daemon/logs/drain/url.ts'

const place = (url: string): string => placeOf(parseDrainUrl(url))

test('what Heroku’s drains can be, with its default ports', () => {
  for (const [url, shown] of [
    ['syslog://logs.example.com', 'syslog://logs.example.com:601/'],
    ['syslog://logs.example.com:514/', 'syslog://logs.example.com:514/'],
    ['syslog://logs.example.com:80', 'syslog://logs.example.com:80/'],
    ['syslog+tls://logs.example.com', 'syslog+tls://logs.example.com:6514/'],
    ['SYSLOG+TLS://Logs.Example.com:1234', 'syslog+tls://logs.example.com:1234/'],
    ['https://logs.example.com', 'https://logs.example.com:443/'],
    ['http://logs.example.com:8080/in', 'http://logs.example.com:8080/'],
    ['syslog://[2001:db8::1]:514', 'syslog://[2001:db8::1]:514/'],
    ['https://bücher.example/', 'https://xn--bcher-kva.example:443/'],
    ['syslog://bücher.example', 'syslog://xn--bcher-kva.example:601/'],
  ] as const)
    assert.is(place(url), shown, url)
})

test('path, query and credentials of a URL are used, and never shown', () => {
  const url = parseDrainUrl('https://us%65r:p%3Ass@logs.example.com/in/secret?key=also')
  assert.is(url.path, '/in/secret?key=also')
  assert.is(url.authorization, `Basic ${Buffer.from('user:p:ss').toString('base64')}`)
  assert.is(placeOf(url), 'https://logs.example.com:443/')
  assert.is(parseDrainUrl('https://token@logs.example.com').authorization, `Basic ${btoa('token:')}`)
})

test('what is no drain is refused in a sentence that does not repeat it', () => {
  for (const url of [
    ...[
      '',
      'blablabla',
      'logs.example.com:514',
      'udp://h:1',
      'syslog:h',
      'syslog://',
      'syslog:///x',
      'https:///x',
      'https:h',
    ],
    ...['syslog://:514', 'syslog://h:0', 'syslog://h:99999', 'syslog://h:x', 'syslog://1.2.3.4.5:1', 'https://h h/'],
    ...['syslog://user:hunter2@h:514', 'syslog://h:514/path', 'syslog://h:514?x', 'syslog+tls://h:6514#insecure'],
    ...['https://h/\n', 'ht\ttps://h/', 'https://h\\@evil.example/', 'https://h/#insecure', 'https://%zz:hunter2@h/'],
    `https://h/${'a'.repeat(2048)}`,
  ])
    try {
      parseDrainUrl(url)
      assert.unreachable(url)
    } catch (error) {
      assert.instance(error, UserError, url)
      assert.match((error as UserError).message, /^The URL is not valid: .*\.$/)
      assert.not.match((error as UserError).message, /hunter2|evil/)
    }
})

test('two spellings of one receiver are the same drain', () => {
  const same = (a: string, b: string) => sameUrl(parseDrainUrl(a), parseDrainUrl(b))
  assert.ok(same('syslog://h', 'syslog://H:601/'))
  assert.ok(same('https://h', 'https://h.:443/'))
  assert.not(same('https://h/a', 'https://h/b'))
  assert.not(same('https://a@h/', 'https://b@h/'))
  assert.not(same('syslog://h:1', 'syslog+tls://h:1'))
})

const targets = createTargets('10.213.0.0/16', parseAllowed(''))

test('a drain may not reach this machine, its link, multicast, or apps', () => {
  for (const address of [
    ...[
      '127.0.0.1',
      '127.255.0.1',
      '0.0.0.0',
      '0.1.2.3',
      '169.254.169.254',
      '224.0.0.1',
      '255.255.255.255',
      '10.213.7.2',
    ],
    ...[
      '100.100.100.200',
      '168.63.129.16',
      '::',
      '::1',
      'fe80::1',
      'fe80::1%eth0',
      'febf::1',
      'ff02::1',
      'fd00:ec2::254',
    ],
    ...['::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:a9fe:a9fe', '::ffff:10.213.0.1', '::127.0.0.1', '64:ff9b::7f00:1'],
    ...['64:ff9b::169.254.169.254', '2002:7f00:1::', '2002:a9fe:a9fe::1', '0:0:0:0:0:ffff:127.0.0.1', 'nonsense', ''],
  ])
    assert.not(targets.allowsAddress(address), address)
})

test('public addresses and private networks are allowed', () => {
  for (const address of [
    '192.0.2.1',
    '8.8.8.8',
    '10.0.0.1',
    '10.212.255.255',
    '172.16.0.1',
    '192.168.1.1',
    '100.64.0.1',
  ])
    assert.ok(targets.allowsAddress(address), address)
  for (const address of ['2001:db8::1', 'fd00::1', '::ffff:192.0.2.1', '64:ff9b::808:808', '2002:c000:201::1'])
    assert.ok(targets.allowsAddress(address), address)
})

test('every notation of an address is that address', () => {
  for (const host of [
    '2130706433',
    '0x7f000001',
    '017700000001',
    '127.1',
    '0x7f.1',
    '127.0.0.1.',
    '[::ffff:127.0.0.1]',
    '[::1]',
  ])
    for (const scheme of ['syslog', 'syslog+tls', 'http', 'https'])
      assert.not(targets.allowsAddress(parseDrainUrl(`${scheme}://${host}:9999`).host), `${scheme} ${host}`)
})

test('the operator may allow addresses, networks and names', () => {
  const allowing = createTargets('10.213.0.0/16', parseAllowed(' 127.0.0.0/8, ::1,Localhost ,fe80::/10'))
  for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1', 'fe80::1'])
    assert.ok(allowing.allowsAddress(address), address)
  for (const address of ['169.254.169.254', '10.213.0.2']) assert.not(allowing.allowsAddress(address), address)
  assert.ok(allowing.allowsHost('localhost'))
  assert.not(allowing.allowsHost('example.com'))
  for (const wrong of ['10.0.0.0/33', '10.0.0/8', 'a b', 'https://h', '1.2.3.4/x', '::1/129'])
    assert.throws(() => parseAllowed(wrong), /SLUICE_DRAIN_ALLOW has/)
})

test.run()
