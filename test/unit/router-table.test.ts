import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { formatAccount } from '../../router/line.ts'
import { type Code, problem } from '../../router/page.ts'
import { Hosts } from '../../router/table.ts'

const lookup = new Hosts<{ name: string }>()
for (const [name, ...hosts] of [
  ['a', 'a.localhost', 'www.example.com'],
  ['wild', '*.example.com'],
  ['deep', '*.deep.example.com'],
] as const)
  for (const host of hosts) lookup.put(host, { name })

test('an exact name wins, then the longest pattern', () => {
  assert.is(lookup.find('www.example.com')?.name, 'a')
  assert.is(lookup.find('x.example.com')?.name, 'wild')
  assert.is(lookup.find('x.y.example.com')?.name, 'wild')
  assert.is(lookup.find('x.deep.example.com')?.name, 'deep')
  assert.is(lookup.find('deep.example.com')?.name, 'wild')
  assert.is(lookup.find('example.com'), undefined)
  assert.is(lookup.find('b.localhost'), undefined)
})

test('a name that was removed is found no more, nor is what it hid', () => {
  const hosts = new Hosts<{ name: string }>()
  hosts.put('a.example.com', { name: 'exact' })
  hosts.put('*.example.com', { name: 'wild' })
  hosts.remove('a.example.com')
  assert.is(hosts.find('a.example.com')?.name, 'wild')
  hosts.remove('*.example.com')
  assert.is(hosts.find('a.example.com'), undefined)
})

const account = {
  code: null,
  cause: '',
  method: 'GET',
  path: '/a"b',
  host: 'a.localhost',
  requestId: 'ID',
  forwarded: '192.0.2.9',
  dyno: 'web.1',
  connect: 1,
  service: 18,
  status: 200,
  bytes: 13,
  minor: 1,
  tls: 'unknown',
} as const

test('a log line is in the format of Heroku’s Router 2.0', () => {
  assert.is(
    formatAccount(account),
    'at=info method=GET path="/a%22b" host=a.localhost request_id=ID fwd="192.0.2.9" dyno=web.1 connect=1ms service=18ms status=200 bytes=13 protocol=http1.1 tls=false',
  )
  assert.is(
    formatAccount({
      ...account,
      code: 'H10',
      dyno: '',
      connect: undefined,
      service: undefined,
      status: 503,
      tls: 'tls1.3',
    }),
    'at=error code=H10 desc="App crashed" method=GET path="/a%22b" host=a.localhost request_id=ID fwd="192.0.2.9" dyno= connect= service= status=503 bytes= protocol=http1.1 tls=true tls_version=tls1.3',
  )
  assert.match(formatAccount({ ...account, code: 'H27', status: 499 }), /^sock=client at=warning code=H27 /)
  assert.match(
    formatAccount({ ...account, code: 'H25', cause: 'oversized cookie' }),
    /desc="HTTP restriction: oversized cookie"/,
  )
})

test('what has not been is empty in a log line, code by code as in Heroku’s examples', () => {
  const part = (code: Code, over: object = {}) => {
    const { status } = problem(code)
    return / dyno=.* bytes=\S*/.exec(formatAccount({ ...account, code, status, ...over }))?.[0]
  }
  for (const code of ['H10', 'H11', 'H14', 'H20', 'H22', 'H80', 'H81', 'H99'] as const)
    assert.is(part(code), ' dyno= connect= service= status=503 bytes=', code)
  for (const code of ['H19', 'H21'] as const)
    assert.is(part(code, { service: undefined }), ' dyno=web.1 connect=1ms service= status=503 bytes=', code)
  for (const code of ['H12', 'H13', 'H15', 'H17', 'H18'] as const)
    assert.is(part(code, { bytes: 0 }), ' dyno=web.1 connect=1ms service=18ms status=503 bytes=0', code)
  assert.is(part('H24', { bytes: 18 }), ' dyno=web.1 connect=1ms service=18ms status= bytes=18')
  assert.is(part('H25'), ' dyno=web.1 connect=1ms service=18ms status=502 bytes=13')
  for (const code of ['H27', 'H28'] as const)
    assert.is(part(code), ' dyno=web.1 connect=1ms service=18ms status=499 bytes=13')
})

test('fwd is what the dyno gets as X-Forwarded-For: it cannot forge a field, and its end is kept when it is long', () => {
  const forged = `1" status=200 x="${'9'.repeat(2000)}, 192.0.2.9`
  const line = formatAccount({ ...account, forwarded: forged })
  assert.ok(line.includes('999, 192.0.2.9" dyno=web.1'))
  assert.ok(line.length < 1300)
  assert.ok(formatAccount({ ...account, forwarded: '1", 192.0.2.9' }).includes('fwd="1%22, 192.0.2.9" dyno'))
})

test.run()
