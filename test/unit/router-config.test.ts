import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { packageRoot } from '../../daemon/config.ts'
import { environmentWith, readConfig, variables } from '../../router/config.ts'

test('what is not set has a default', () => {
  const { hosts, httpPort, daemonUrl, workers, statusHost, statusPort, inherited, notify, watchdog } = readConfig({})
  assert.equal(readConfig({ SLUICE_ROUTER_HOST: '10.0.0.1, ::1' }).hosts, ['10.0.0.1', '::1'])
  assert.equal([hosts, httpPort, daemonUrl], [['0.0.0.0', '::'], 8080, 'ws://127.0.0.1:5000/routers'])
  assert.equal([workers, inherited, notify, watchdog], [availableParallelism(), undefined, false, 0])
  assert.equal([statusHost, statusPort], ['127.0.0.1', 8081])
  assert.throws(() => readConfig({ SLUICE_ROUTER_STATUS_HOST: 'everywhere' }), /it must be an address such as/)
})

test('a value that cannot be is one sentence', () => {
  for (const [name, value] of [
    ['SLUICE_HTTP_PORT', '0'],
    ['SLUICE_ROUTER_STATUS_PORT', '65536'],
    ['SLUICE_ROUTER_WORKERS', '0'],
    ['SLUICE_ROUTER_WORKERS', 'many'],
    ['SLUICE_DAEMON_URL', 'nowhere'],
  ] as const)
    assert.throws(() => readConfig({ [name]: value }), new RegExp(`^${name} is "${value}"; it must be `))
})

test('the daemon may be elsewhere, but token and keys never travel in clear', () => {
  const url = (text: string) => readConfig({ SLUICE_DAEMON_URL: text }).daemonUrl
  assert.is(url('wss://sluice.example.com:5000'), 'wss://sluice.example.com:5000/routers')
  assert.is(url('ws://[::1]:5000'), 'ws://[::1]:5000/routers')
  for (const text of [
    'ws://192.0.2.1:5000',
    'ws://127.0.0.1.example.com',
    'http://localhost',
    'ws://localhost.example.com',
  ])
    assert.throws(() => url(text), /must be wss:/)
})

test('inherited sockets are those for this process', () => {
  const given = (more: object, pid: number) =>
    readConfig({ LISTEN_PID: '7', LISTEN_FDS: '2', LISTEN_FDNAMES: 'http:https', ...more }, pid).inherited
  assert.equal(given({}, 7), { count: 2, names: ['http', 'https'] })
  assert.is(given({}, 8), undefined)
  assert.throws(() => given({ LISTEN_FDS: '-1' }, 7), /LISTEN_FDS is "-1"/)
})

test('a process that we start is not told what is meant for us', () => {
  const { LISTEN_PID, LISTEN_FDS, PATH, MORE } = environmentWith({ MORE: 'yes', LISTEN_FDS: '3' })
  assert.equal([LISTEN_PID, LISTEN_FDS, PATH, MORE], [undefined, '3', process.env.PATH, 'yes'])
})

test('systemd is told when it says where', () => {
  const { notify, watchdog } = readConfig({ NOTIFY_SOCKET: '/run/x', WATCHDOG_USEC: '30000000' })
  assert.equal([notify, watchdog], [true, 30_000])
})

test('every setting is in the README', () => {
  const text = readFileSync(join(packageRoot, 'router', 'README.md'), 'utf8')
  assert.equal(
    Object.keys(variables).filter((name) => !text.includes(name)),
    [],
  )
})

test.run()
