import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ensureCertificates } from '../../daemon/route/certificate.ts'
import { readConfig } from '../../router/config.ts'
import { type Door, openDoors } from '../../router/doors.ts'
import { waitFor as until } from '../e2e/wait.ts'
import { MOST, startLoad } from './router-load.ts'
import {
  environmentAt,
  type FakeDaemon,
  fakeDaemon,
  heard,
  leavePlace,
  main,
  makePlace,
  type Place,
  type Started,
  startRouter,
  waitFor,
  watch,
  workersOf,
} from './router-process-rig.ts'
import { client, eventually, get, portOf, tableOf } from './router-rig.ts'

/** Sockets that outlive the router: this process holds them, as systemd does for a socket unit. */

let place: Place
let doors: Door[] = []

test.before.each(async () => {
  place = await makePlace()
})

test.after.each(async () => {
  for (const door of doors.splice(0)) door.close()
  await leavePlace(place)
})

function startUnder(fds: number[], names: string): Started {
  const child = spawn('/bin/sh', ['-c', 'LISTEN_PID=$$ exec "$0" "$@"', process.execPath, main], {
    stdio: ['ignore', 'ignore', 'pipe', ...fds],
    env: environmentAt(place, { LISTEN_FDS: String(fds.length), LISTEN_FDNAMES: names }),
  })
  return watch(child)
}

const startActivated = (): Started =>
  startUnder(
    doors.map(({ fd }) => fd),
    doors.map(({ name }) => name).join(':'),
  )

async function activated(): Promise<{ daemon: FakeDaemon; first: Started }> {
  doors = await openDoors(readConfig(environmentAt(place)))
  await ensureCertificates({ data: place.data, domain: 'localhost', api: { hosts: [] } })
  const daemon = fakeDaemon(place.api)
  const first = startActivated()
  await waitFor(daemon, 'hello')
  // four, since all who wait while there is no router come in at once, and one dyno has at most 200 requests (H11)
  const backends = ['1', '2', '3', '4'].map((id) => place.dyno.route('serve', id))
  daemon.send(tableOf(1, { backends }))
  await waitFor(daemon, 'applied')
  return { daemon, first }
}

test('inherited sockets are served by their names', async () => {
  const { daemon } = await activated()
  assert.match(await client(place.http).write(get('Connection: close')).untilClosed(), /hello/)
  const tls = connect(place.https, '127.0.0.1')
  await once(tls, 'connect')
  tls.destroy()
  daemon.close()
})

test('kill -9 of the master under load: its workers end, what was under way is lost, and the next one answers who waited', async () => {
  const { daemon, first } = await activated()
  const pid = first.child.pid ?? 0
  const load = startLoad(place.http, 1)
  await eventually(
    () => load.answered > 500,
    () => 'answers',
  )
  const workers = workersOf(pid)
  process.kill(pid, 'SIGKILL')
  await once(first.child, 'exit')
  const killed = Date.now()
  await eventually(
    () => workers.every((worker) => !alive(worker)),
    () => 'the end of the workers',
  )
  const lost = load.failures.length
  const waits = client(place.http).write(get('Connection: close'))
  startActivated()
  assert.match(await waits.untilClosed(), /hello/)
  console.log(`answered ${Date.now() - killed} ms after the kill; ${lost} of ${load.answered} requests were lost`)
  const then = load.answered
  await eventually(
    () => load.answered > then + 200,
    () => 'more answers',
  )
  await load.stop()
  // those that were under way, and what was sent at that moment on connections that were kept
  assert.ok(load.failures.length < 2 * MOST, `${load.failures.length}: ${[...new Set(load.failures)]}`)
  assert.equal(
    load.failures.filter((failure) => /ECONNREFUSED|status/.test(failure)),
    [],
  )
  await waitFor(daemon, 'hello', 2)
  daemon.close()
})

test('a router that stops answers one last request of each connection that is open, because whoever comes next waits and is not refused', async () => {
  const { daemon, first } = await activated()
  const open = Array.from({ length: 10 }, () => client(place.http).write(get()))
  await Promise.all(open.map((one) => one.until(/hello/)))
  first.child.kill('SIGTERM')
  await until('the router to stop', () => refused(place.status))
  for (const one of open) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    one.write(get())
  }
  for (const one of open) assert.match(await one.untilClosed(), /hello[\s\S]*Connection: close[\s\S]*hello/)
  const [code] = await once(first.child, 'exit')
  assert.is(code, 0)
  daemon.close()
})

const refused = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(false)).on('error', () => resolve(true))
    socket.on('connect', () => socket.destroy())
  })

const alive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('what is passed must be a listening TCP socket with a name, else one sentence says so', async () => {
  const file = openSync(place.data, 'r')
  const ends = async ({ child, said }: Started) => {
    const [code] = await once(child, 'exit')
    assert.is(code, 1)
    return said()
  }
  assert.is(
    await ends(startUnder([file], 'http')),
    '<3>The inherited descriptor 3 is no TCP socket that listens, so the router cannot take it.\n',
  )
  closeSync(file)
  doors = await openDoors(readConfig(environmentAt(place)))
  const [door] = doors
  assert.is(
    await ends(startUnder([door?.fd ?? -1], 'sluice.socket')),
    '<3>The inherited descriptor 3 is named "sluice.socket"; FileDescriptorName= of the socket unit must be http or https.\n',
  )
})

test('descriptors that are meant for another process are left alone', async () => {
  const router = startRouter(place, { LISTEN_PID: '1', LISTEN_FDS: '1', LISTEN_FDNAMES: 'http' })
  await router.up()
  assert.match(await client(place.http).write(get('Connection: close')).untilClosed(), /404/)
})

test('it listens on IPv4 and IPv6, each by itself', async () => {
  const router = startRouter(place, { SLUICE_ROUTER_HOST: '127.0.0.1,::1' })
  await router.up()
  assert.match(router.said(), new RegExp(`listens on 127.0.0.1 port ${place.http}, ::1 port ${place.http}\n`))
  const six = connect({ port: place.http, host: '::1' }).setEncoding('latin1')
  six.write(get('Connection: close'))
  const [answer] = await once(six, 'data')
  assert.match(answer, /^HTTP\/1\.1 404 /)
  six.destroy()
})

test('a port that is taken on the other address family only is told too', async () => {
  const taken = createServer().listen({ port: 0, host: '::1', ipv6Only: true })
  await once(taken, 'listening')
  const router = startRouter(place, { SLUICE_ROUTER_HOST: '127.0.0.1,::1', SLUICE_HTTP_PORT: String(portOf(taken)) })
  const [code] = await once(router.child, 'exit')
  assert.is(code, 1)
  assert.match(router.said(), /^<3>Port \d+ on ::1 is taken by another program; /)
  taken.close()
})

test('a master that is killed and started at once, without anybody who holds its sockets, gets its ports again', async () => {
  const daemon = fakeDaemon(place.api)
  const first = startRouter(place)
  await waitFor(daemon, 'hello')
  daemon.send(tableOf(1, { backends: [place.dyno.route()] }))
  await waitFor(daemon, 'applied')
  first.child.kill('SIGKILL')
  await once(first.child, 'exit')
  const second = startRouter(place)
  await second.up()
  assert.match(await client(place.http).write(get('Connection: close')).untilClosed(), /hello/)
  daemon.close()
})

test('the state of what it has served before is told to the daemon that comes back', async () => {
  const { daemon, first } = await activated()
  first.child.kill('SIGKILL')
  await once(first.child, 'exit')
  startActivated()
  await waitFor(daemon, 'hello', 2)
  assert.is(heard(daemon, 'hello')[1]?.applied, 1)
  daemon.close()
})

test.run()
