import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { cp, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { freePort } from '../e2e/ports.ts'
import { startLoad } from './router-load.ts'
import {
  argumentsOf,
  childrenOf,
  fakeDaemon,
  heard,
  leavePlace,
  main,
  makePlace,
  type Place,
  type Started,
  startRouter,
  waitFor,
} from './router-process-rig.ts'
import { client, eventually, get, httpDyno, rawDyno, tableOf } from './router-rig.ts'

/** A router process takes over from another: SIGUSR2. */

let place: Place
const successors = new Set<number>()

test.before.each(async () => {
  place = await makePlace()
})

test.after.each(async () => {
  for (const pid of successors) kill(pid)
  successors.clear()
  await leavePlace(place)
})

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // it has ended
  }
}

async function running(more: NodeJS.ProcessEnv = {}, program = main) {
  const daemon = fakeDaemon(place.api)
  const old = startRouter(place, more, program)
  await eventually(
    () => heard(daemon, 'hello').length > 0,
    () => `hello; the router said: ${old.said()}`,
  )
  return { daemon, old, pid: old.child.pid ?? 0 }
}

/** Its exit code, once it has ended. */
async function exitOf({ child }: Started): Promise<number | null> {
  if (child.exitCode === null) await once(child, 'exit')
  return child.exitCode
}

/** Starts the next and waits until it has said hello. */
async function succeed(pid: number, daemon: ReturnType<typeof fakeDaemon>): Promise<number> {
  const before = heard(daemon, 'hello').length
  process.kill(pid, 'SIGUSR2')
  await waitFor(daemon, 'hello', before + 1)
  const next = heard(daemon, 'hello').at(-1)?.router.pid ?? 0
  successors.add(next)
  return next
}

test('a router that was started through a link is succeeded by the release that the link leads to by then', async () => {
  const [link, fresh] = [join(place.data, 'current'), join(place.data, 'fresh')]
  await release('1')
  await release('2')
  await symlink('1', link)
  const { daemon, old, pid } = await running({}, join(link, 'router', 'main.js'))
  await symlink('2', fresh)
  await rename(fresh, link)
  const next = await succeed(pid, daemon)
  assert.is(await exitOf(old), 0)
  await eventually(
    () => old.said().includes('release 2'),
    () => `a word of the new release in: ${old.said()}`,
  )
  assert.ok(argumentsOf(next).includes(join(link, 'router', 'main.js')), String(argumentsOf(next)))
  daemon.close()
})

/** What is installed of a router, which says whose it is. */
async function release(name: string): Promise<void> {
  const folder = join(place.data, name)
  await cp(dirname(main), join(folder, 'router'), { recursive: true })
  await writeFile(join(folder, 'package.json'), '{"type":"module"}')
  await symlink(join(resolve(import.meta.dirname, '..', '..', '..'), 'node_modules'), join(folder, 'node_modules'))
  const program = join(folder, 'router', 'main.js')
  await writeFile(program, `process.stderr.write('release ${name}\\n')\n${readFileSync(program, 'utf8')}`)
}

test('a successor takes over under load: no request fails, the daemon knows it as the same router, no log line is lost', async () => {
  const { daemon, old, pid } = await running()
  daemon.send(tableOf(1, { backends: [place.dyno.route()] }))
  await waitFor(daemon, 'applied')
  const load = startLoad(place.http, 4)
  await eventually(
    () => load.answered > 50,
    () => 'answers before',
  )
  const next = await succeed(pid, daemon)
  assert.is.not(next, pid)
  const [first, second] = heard(daemon, 'hello')
  assert.is(second?.router.id, first?.router.id)
  assert.is(second?.applied, 1)
  await eventually(
    () => daemon.closed.length > 0,
    () => 'the end of the old connection',
  )
  assert.equal(daemon.closed, [4001])
  await eventually(
    () => load.answered > 150,
    () => 'answers after',
  )
  assert.is(await exitOf(old), 0)
  await load.stop()
  assert.equal(load.failures, [])
  const lines = () => heard(daemon, 'log').reduce((sum, { lines }) => sum + lines.length, 0)
  await eventually(
    () => lines() === load.answered,
    () => `${load.answered} lines, not ${lines()}`,
  )
  daemon.close()
})

test('a tunnel lives on in the old process, whose backends follow the table of the new one; then it ends', async () => {
  const echo = await rawDyno((socket) => {
    socket.once('data', () => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
      socket.on('data', (chunk) => socket.write(chunk))
      socket.on('end', () => socket.end())
    })
  })
  const { daemon, old, pid } = await running()
  daemon.send(tableOf(1, { backends: [echo.route()] }))
  await waitFor(daemon, 'applied')
  const tunnel = client(place.http).write(get('Connection: Upgrade', 'Upgrade: x'))
  await tunnel.until(/101/)
  const next = await succeed(pid, daemon)
  assert.not(childrenOf(pid).includes(next), 'systemd gives no time to what is not its own child')
  await tunnel.write('before').until(/before/)
  daemon.send(tableOf(2, { backends: [place.dyno.route('serve', 'new'), echo.route('drain')] }))
  await waitFor(daemon, 'applied', 2)
  assert.match(await client(place.http).write(get('Connection: close')).untilClosed(), /hello/)
  await tunnel.write('after').until(/after/)
  assert.is(heard(daemon, 'drained').length, 0, 'the old process has a tunnel to it')
  tunnel.socket.destroy()
  await waitFor(daemon, 'drained')
  const { took, ...receipt } = heard(daemon, 'drained')[0]?.receipt ?? { took: -1 }
  assert.equal(receipt, { inFlight: 1, finished: 1, cut: 0, failed: 0 })
  assert.ok(took >= 0)
  assert.is(await exitOf(old), 0)
  echo.close()
  daemon.close()
})

test('a successor that dies when it has just taken over takes the old one with it, so that the supervisor starts another', async () => {
  const echo = await rawDyno((socket) => {
    socket.once('data', () =>
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'),
    )
  })
  const dying = join(place.data, 'dying.cjs')
  await writeFile(
    dying,
    `const { send } = process
if (process.argv.includes('--succeed'))
  process.send = (message) =>
    send.call(process, message, () => message.kind === 'serving' && process.kill(process.pid, 'SIGKILL'))`,
  )
  const { daemon, old, pid } = await running({ NODE_OPTIONS: `--require ${dying}` })
  daemon.send(tableOf(1, { backends: [echo.route()] }))
  await waitFor(daemon, 'applied')
  const tunnel = client(place.http).write(get('Connection: Upgrade', 'Upgrade: x'))
  await tunnel.until(/101/)
  process.kill(pid, 'SIGUSR2')
  await eventually(
    () => /<3>The successor has ended too early: it ended\.\n/.test(old.said()),
    () => `the sentence in ${old.said()}`,
  )
  assert.is(await exitOf(old), 1)
  echo.close()
  daemon.close()
})

test('an old process that does not answer any more holds up no table: its workers are ended', async () => {
  const echo = await rawDyno((socket) => {
    socket.once('data', () =>
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'),
    )
  })
  const { daemon, pid } = await running()
  daemon.send(tableOf(1, { backends: [echo.route()] }))
  await waitFor(daemon, 'applied')
  const tunnel = client(place.http).write(get('Connection: Upgrade', 'Upgrade: x'))
  await tunnel.until(/101/)
  await succeed(pid, daemon)
  daemon.send(tableOf(2, { backends: [echo.route()] }))
  await waitFor(daemon, 'applied', 2)
  process.kill(pid, 'SIGSTOP')
  daemon.send(tableOf(3, { backends: [place.dyno.route('serve', 'new')] }))
  await once(tunnel.socket, 'close', { signal: AbortSignal.timeout(60_000) })
  await waitFor(daemon, 'applied', 3)
  echo.close()
  daemon.close()
})

test('a successor that cannot start leaves the old one serving, with a sentence; the next may succeed', async () => {
  const [unable, way] = [join(place.data, 'unable.cjs'), join(place.data, 'in-its-way')]
  await writeFile(
    unable,
    `if (process.argv.includes('--succeed') && require('node:fs').existsSync('${way}')) process.kill(process.pid, 'SIGKILL')`,
  )
  await writeFile(way, '')
  const { daemon, old, pid } = await running({ NODE_OPTIONS: `--require ${unable}` })
  daemon.send(tableOf(1, { backends: [place.dyno.route()] }))
  await waitFor(daemon, 'applied')
  process.kill(pid, 'SIGUSR2')
  await eventually(
    () => /<4>No successor took over: it ended\. This router serves on\.\n/.test(old.said()),
    () => `the sentence in ${old.said()}`,
  )
  assert.match(await client(place.http).write(get('Connection: close')).untilClosed(), /hello/)
  daemon.send(tableOf(2, { backends: [place.dyno.route()] }))
  await waitFor(daemon, 'applied', 2)
  await rm(way)
  await succeed(pid, daemon)
  assert.is(await exitOf(old), 0)
  assert.match(await client(place.http).write(get('Connection: close')).untilClosed(), /hello/)
  daemon.close()
})

test('a running request ends with the old process, after the new one has taken over', async () => {
  let answer = () => {}
  const slow = await httpDyno((req, res) => {
    if (req.url === '/') answer = () => void res.end('late')
  })
  const { daemon, old, pid } = await running()
  daemon.send(tableOf(1, { backends: [slow.route()] }))
  await waitFor(daemon, 'applied')
  const request = client(place.http).write(get())
  await eventually(
    () => slow.accepted === 1,
    () => 'the request',
  )
  await succeed(pid, daemon)
  answer()
  assert.match(await request.untilClosed(), /Connection: close[\s\S]*late$/)
  assert.is(await exitOf(old), 0)
  await waitFor(daemon, 'log')
  slow.close()
  daemon.close()
})

test('a router that has just said that it listens knows its signals', async () => {
  const daemon = fakeDaemon(place.api)
  const old = startRouter(place)
  await new Promise<void>((resolve) => old.child.stderr?.on('data', () => old.said().includes('listens') && resolve()))
  old.child.kill('SIGUSR2')
  await waitFor(daemon, 'hello', 2)
  successors.add(heard(daemon, 'hello')[1]?.router.pid ?? 0)
  assert.is(await exitOf(old), 0)
  const other = startRouter({ ...place, http: await freePort(), https: await freePort() })
  await new Promise<void>((resolve) =>
    other.child.stderr?.on('data', () => other.said().includes('listens') && resolve()),
  )
  other.child.kill('SIGTERM')
  assert.is(await exitOf(other), 0)
  daemon.close()
})

test('systemd is told who is ready, who goes on, that it lives and that it stops', async () => {
  const bin = join(place.data, 'bin')
  const told = join(place.data, 'told')
  await mkdir(bin)
  await writeFile(join(bin, 'systemd-notify'), `#!/bin/sh\necho "$@" >> ${told}\n`, { mode: 0o755 })
  const daemon = fakeDaemon(place.api)
  const settings = { PATH: `${bin}:${process.env.PATH}`, NOTIFY_SOCKET: '/nowhere', WATCHDOG_USEC: '200000' }
  const old = startRouter(place, settings)
  const says = (line: string) =>
    eventually(
      () => readFileSync(told, { encoding: 'utf8', flag: 'a+' }).includes(`${line}\n`),
      () => `${line} in ${readFileSync(told, 'utf8')}`,
    )
  await says(`READY=1 MAINPID=${old.child.pid}`)
  await says('WATCHDOG=1')
  await waitFor(daemon, 'hello')
  const next = await succeed(old.child.pid ?? 0, daemon)
  await says(`READY=1 MAINPID=${next}`)
  assert.is(await exitOf(old), 0)
  assert.not.match(readFileSync(told, 'utf8'), /STOPPING/)
  process.kill(next, 'SIGTERM')
  await says('STOPPING=1')
  daemon.close()
})

test.run()
