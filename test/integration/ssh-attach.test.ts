import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer as createHttpsServer, type Server as HttpsServer, request } from 'node:https'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import ssh2, { type ClientChannel } from 'ssh2'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock } from '../../daemon/clock.ts'
import { readConfig } from '../../daemon/config.ts'
import { EngineError, type Terminal } from '../../daemon/engine/engine.ts'
import { ensureCertificates } from '../../daemon/route/certificate.ts'
import { createRendezvous, type Rendezvous } from '../../daemon/run/rendezvous.ts'
import { createAttach } from '../../daemon/run/ssh/attach.ts'
import { readHostKey } from '../../daemon/run/ssh/host-key.ts'
import { waitFor } from '../e2e/wait.ts'
import { type Local, startLocally } from './local-process.ts'

/** The https form of an attach URL, taken as the official CLI takes it: an upgraded connection, and the system's ssh through it. */
let data = ''
let port = 0
let server: HttpsServer
let rendezvous: Rendezvous
const opened: { terminal: Terminal; process: Local }[] = []
let missed = 0

test.before(async () => {
  data = await mkdtemp(join(tmpdir(), 'sluice-attach-'))
  const tls = await ensureCertificates(readConfig({ SLUICE_DATA: data }))
  rendezvous = createRendezvous(systemClock)
  const attach = createAttach({
    rendezvous,
    clock: systemClock,
    hostKey: await readHostKey(join(data, 'ssh.key')),
  })
  server = createHttpsServer(tls)
  server.on('upgrade', (req, socket, head) => attach(req, socket as Socket, head))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
})
test.after(async () => {
  server.closeAllConnections()
  server.close()
  await rm(data, { recursive: true })
})
test.before.each(() => {
  opened.length = 0
  missed = 0
})

/** A dyno that waits for its client; returns the secret. */
const invite = (command: string, terminal?: Terminal): string =>
  rendezvous.invite({
    app: 'app',
    dyno: 'run.1',
    terminal,
    async open(decided) {
      const process = startLocally(command, decided)
      opened.push({ terminal: decided, process })
      return process
    },
    missed: () => missed++,
  })

/** The connection behind an attach URL, or the status by which it was refused. */
const upgrade = (secret: string): Promise<Socket | number> =>
  new Promise((resolve, reject) => {
    const asked = request(`https://localhost:${port}/attach/${secret}`, {
      rejectUnauthorized: false,
      headers: { Connection: 'Upgrade', Upgrade: 'tcp' },
    })
    asked.on('upgrade', (_, socket: Socket) => resolve(socket))
    asked.on('response', (response) => resolve(response.statusCode ?? 0))
    asked.on('error', reject)
    asked.end()
  })

async function connected(secret: string): Promise<Socket> {
  const socket = await upgrade(secret)
  if (typeof socket === 'number') throw new Error(`refused with ${socket}`)
  return socket.on('error', () => {})
}

/** The system's ssh, started with what the CLI starts it with. */
async function ssh(
  secret: string,
  { wrap, more = [] }: { wrap?: string; more?: string[] } = {},
): Promise<ChildProcess> {
  const remote = await connected(secret)
  const local = createServer((client) => {
    local.close()
    client.on('error', () => {})
    client.pipe(remote).pipe(client)
    client.on('close', () => remote.destroy())
  })
  local.listen(0, '127.0.0.1')
  await once(local, 'listening')
  const at = String((local.address() as AddressInfo).port)
  const options = [
    '-F/dev/null',
    '-oStrictHostKeyChecking=no',
    '-oUserKnownHostsFile=/dev/null',
    '-oServerAliveInterval=20',
  ]
  const argv = ['ssh', '127.0.0.1', '-p', at, ...options, ...more]
  return wrap ? spawn('script', ['-qfec', `${wrap}; ${argv.join(' ')}`, '/dev/null']) : spawn('ssh', argv.slice(1))
}

async function outcome(child: ChildProcess, input?: string): Promise<{ stdout: string; code: number }> {
  let stdout = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  // to a terminal, the end would be typed, and echoed somewhere
  child.stdin?.on('error', () => {})
  if (input !== undefined) child.stdin?.end(input)
  const [code] = await once(child, 'close')
  return { stdout, code }
}

test('a command without a terminal gets its input to the end, and its output and exit status come back', async () => {
  const result = await outcome(await ssh(invite('cat; echo oops >&2; exit 7')), 'one\ntwo\n')
  // two pipes of one process
  assert.ok(['one\ntwo\noops\n', 'oops\none\ntwo\n'].includes(result.stdout), result.stdout)
  assert.is(result.code, 7)
  assert.equal(opened[0]?.terminal, { kind: 'pipes' })
  assert.is(missed, 0)
})

test('a client with a terminal gets one of the same size', async () => {
  const child = await ssh(invite('tty; stty size; exit 3'), { wrap: 'stty cols 101 rows 33' })
  const result = await outcome(child)
  assert.match(result.stdout, /\/dev\/pts\/\d+\r\n33 101\r\n/)
  assert.is(result.code, 3)
})

test('a terminal that was declined when the dyno was asked for is not given', async () => {
  const result = await outcome(await ssh(invite('tty', { kind: 'pipes' }), { wrap: 'true' }))
  assert.match(result.stdout, /not a tty/)
  assert.equal(opened[0]?.terminal, { kind: 'pipes' })
})

test('a megabyte passes in both directions unchanged', async () => {
  const megabyte = 'x'.repeat(63).concat('\n').repeat(16_384)
  const { stdout, code } = await outcome(await ssh(invite('cat')), megabyte)
  assert.is(code, 0)
  assert.ok(stdout === megabyte)
})

test('output waits for a client that does not read', async () => {
  const child = await ssh(invite('yes'))
  child.stdout?.pause()
  const process = await waitFor('the process', () => opened[0]?.process)
  const before = memory()
  let last = 0
  const grown = () => {
    const now = memory()
    const more = now - last
    last = now
    return more
  }
  await waitFor('the output to stand still', () => grown() < 64 * 1024, { every: 200 })
  assert.ok(memory() - before < 64 * 1024 * 1024)
  child.kill()
  await waitFor('the hang-up', () => process.hungUp)
})

const memory = () => process.memoryUsage().arrayBuffers

test('a client that is killed hangs its process up', async () => {
  const child = await ssh(invite('echo here; sleep 1000'))
  child.stdout?.resume()
  await once(child.stdout ?? child, 'data')
  child.kill('SIGKILL')
  await waitFor('the hang-up', () => opened[0]?.process.hungUp)
  await opened[0]?.process.exit
})

test('a client that leaves while its dyno still starts hangs it up', async () => {
  let arrived: () => void = () => {}
  const asked = new Promise<void>((resolve) => {
    arrived = resolve
  })
  const late = startLocally('sleep 1000', { kind: 'pipes' })
  let give: () => void = () => {}
  const secret = rendezvous.invite({
    app: 'app',
    dyno: 'run.1',
    terminal: undefined,
    open: () =>
      new Promise((resolve) => {
        give = () => resolve(late)
        arrived()
      }),
    missed: () => missed++,
  })
  const child = await ssh(secret)
  await asked
  child.kill('SIGKILL')
  await once(child, 'close')
  give()
  await waitFor('the hang-up', () => late.hungUp)
  assert.is(missed, 0)
})

test('a change of the window reaches the terminal', async () => {
  const { channel, client } = await shell(invite('cat'), { cols: 90, rows: 20, term: 'xterm' })
  await waitFor('the process', () => opened[0])
  channel.setWindow(41, 132, 0, 0)
  await waitFor('the new size', () => opened[0]?.process.sizes.includes('132x41'))
  assert.equal(opened[0]?.terminal, { kind: 'tty', columns: 90, rows: 20 })
  client.end()
})

test('an end of input is one for a terminal too, and an interrupt reaches it', async () => {
  const first = await shell(invite('cat; echo over'), { cols: 80, rows: 24 })
  first.channel.end('line\n')
  assert.match(await all(first), /over/)
  // a read of bash may begin just after it has looked for signals, and then waits for a line before it looks again
  const waits = 'trap "echo stopped; exit 130" INT; echo ready; while :; do sleep 0.1; done'
  const second = await shell(invite(waits), { cols: 80, rows: 24 })
  await once(second.channel, 'data')
  second.channel.signal('INT')
  assert.match(await all(second), /stopped/)
})

/** A shell by way of ssh2, for what the system's ssh does only at a person's terminal. */
async function shell(secret: string, pty: ssh2.PseudoTtyOptions) {
  const client = new ssh2.Client()
  client.connect({ sock: await connected(secret), username: 'anyone' })
  await once(client, 'ready')
  const channel = await new Promise<ClientChannel>((resolve, reject) =>
    client.shell(pty, (error, made) => (error ? reject(error) : resolve(made))),
  )
  return { client, channel }
}

async function all({ client, channel }: { client: ssh2.Client; channel: ClientChannel }): Promise<string> {
  let text = ''
  channel.on('data', (chunk: Buffer) => {
    text += chunk
  })
  await once(channel, 'close')
  client.end()
  return text
}

test('a secret is good once, and a wrong one never', async () => {
  const secret = invite('echo once')
  assert.is((await outcome(await ssh(secret))).stdout, 'once\n')
  assert.is(await upgrade(secret), 404)
  assert.is(await upgrade('0'.repeat(64)), 404)
  assert.is(await upgrade(''), 404)
})

test('a client that leaves before it asks for anything is told as missed', async () => {
  const socket = await connected(invite('true'))
  socket.destroy()
  await waitFor('the miss', () => missed === 1)
})

test('a process that cannot be had is told in its own words', async () => {
  const secret = rendezvous.invite({
    app: 'app',
    dyno: 'run.1',
    terminal: undefined,
    open: () => Promise.reject(new EngineError('The engine is full.')),
    missed: () => missed++,
  })
  assert.equal(await outcome(await ssh(secret)), { stdout: ' !     The engine is full.\n', code: 255 })
})

test('there is one session, and no forwarding', async () => {
  const { client, channel } = await shell(invite('cat'), { cols: 80, rows: 24 })
  const refused = (start: (done: (error: Error | undefined) => void) => void) =>
    new Promise<boolean>((resolve) => start((error) => resolve(error !== undefined)))
  assert.ok(await refused((done) => client.exec('id', done)))
  assert.ok(await refused((done) => client.forwardOut('127.0.0.1', 1, '127.0.0.1', port, done)))
  assert.ok(await refused((done) => client.forwardIn('127.0.0.1', 0, done)))
  channel.end()
  client.end()
})

test('the host key is made once', async () => {
  const path = join(data, 'ssh.key')
  const [one, other] = await Promise.all([readHostKey(path), readHostKey(path)])
  assert.equal(one, other)
  assert.match(one.public, /^ssh-ed25519 AAAA/)
  assert.is(await readFile(path, 'utf8'), one.private)
})

test.run()
