import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import type ssh2 from 'ssh2'
import type { ClientChannel, SFTPWrapper } from 'ssh2'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { limits } from '../../daemon/limits.ts'
import { waitFor } from '../e2e/wait.ts'
import { all, asked, startTunnel } from './tunnel-rig.ts'

/** What clients of the tunnel reach beside commands: files, as ps:copy and scp read them, and ports. */
const rig = await startTunnel()
test.after(() => rig.close())
test.before.each(() => {
  rig.opened = []
  rig.late = 0
})

const sftpOf = (made: ssh2.Client): Promise<SFTPWrapper> => asked<SFTPWrapper>((done) => made.sftp(done))

test('a file is copied whole, by ssh2 as the CLI does and by scp', async () => {
  const bytes = randomBytes(5 * 1024 * 1024 + 17)
  const source = join(rig.data, "a 'file' of $(mine)")
  await writeFile(source, bytes)
  const { user } = rig.admit()
  const made = await rig.client(user)
  const sftp = await sftpOf(made)
  await asked<void>((done) => sftp.fastGet(source, join(rig.data, 'got'), (error) => done(error ?? undefined)))
  assert.ok((await readFile(join(rig.data, 'got'))).equals(bytes))
  made.end()
  await writeFile(join(rig.data, 'plain'), bytes)
  const copied = await rig.openssh('scp', user, [
    `${user}@${rig.address}:${join(rig.data, 'plain')}`,
    join(rig.data, 'scp'),
  ])
  assert.is(copied.code, 0, copied.output)
  assert.ok((await readFile(join(rig.data, 'scp'))).equals(bytes))
})

test('reads may jump, and end at the end', async () => {
  await writeFile(join(rig.data, 'digits'), '0123456789')
  const made = await rig.client(rig.admit().user)
  const sftp = await sftpOf(made)
  const handle = await asked<Buffer>((done) => sftp.open(join(rig.data, 'digits'), 'r', done))
  const read = (at: number, length: number) =>
    new Promise<string>((resolve, reject) => {
      const into = Buffer.alloc(length)
      sftp.read(handle, into, 0, length, at, (error, count) =>
        error ? reject(error) : resolve(into.toString('utf8', 0, count)),
      )
    })
  assert.is(await read(0, 3), '012')
  assert.is(await read(3, 2), '34')
  assert.is(await read(8, 5), '89')
  assert.is(await read(1, 2), '12')
  assert.is(await read(10, 5).catch(() => ''), '')
  const { size, mode } = await asked<ssh2.Stats>((done) => sftp.fstat(handle, done))
  assert.is(size, 10)
  assert.is(mode & 0o170000, 0o100000)
  assert.is((await asked<ssh2.Stats>((done) => sftp.stat(rig.data, done))).isDirectory(), true)
  assert.is(await asked<string>((done) => sftp.realpath('.', done)), '/app')
  await asked<void>((done) => sftp.close(handle, (error) => done(error ?? undefined)))
  made.end()
})

test('what cannot be read, and whatever would write, is refused in words', async () => {
  await mkdir(join(rig.data, 'folder'))
  const made = await rig.client(rig.admit().user)
  const sftp = await sftpOf(made)
  const words = (start: (done: (error?: Error | null) => void) => void) =>
    new Promise<string>((resolve) => start((error) => resolve(error?.message ?? 'done')))
  assert.match(
    await words((done) => sftp.open(join(rig.data, 'nothing'), 'r', done)),
    /There is no .*nothing in the dyno/,
  )
  assert.match(await words((done) => sftp.open(join(rig.data, 'folder'), 'r', done)), /is not a file/)
  assert.match(await words((done) => sftp.stat(join(rig.data, 'nothing'), done)), /There is no/)
  assert.match(await words((done) => sftp.open(join(rig.data, 'new'), 'w', done)), /can only be read/)
  assert.match(await words((done) => sftp.unlink(join(rig.data, 'plain'), done)), /can only be read/)
  assert.match(await words((done) => sftp.mkdir(join(rig.data, 'new'), done)), /can only be read/)
  assert.match(await words((done) => sftp.readdir(rig.data, done)), /Only single files/)
  assert.is((await readFile(join(rig.data, 'plain'))).length, 5 * 1024 * 1024 + 17)
  made.end()
})

test('what was refused takes no session', async () => {
  const made = await rig.client(rig.admit().user)
  const sftp = await sftpOf(made)
  const failed = (start: (done: (error?: Error | null) => void) => void) =>
    new Promise<string>((resolve) => start((error) => resolve(error?.message ?? 'done')))
  for (let i = 0; i <= limits.execsPerDyno; i++) {
    const nothing = join(rig.data, 'nothing')
    assert.match(await failed((done) => sftp[i % 2 ? 'stat' : 'lstat'](nothing, done)), /There is no/)
    assert.match(await failed((done) => sftp.open(nothing, 'r', done)), /There is no/)
  }
  for (let i = 0; i <= limits.execsPerDyno; i++)
    assert.match(await failed((done) => made.forwardOut('127.0.0.1', 1, 'localhost', 1, done)), /open failure/)
  const command = await asked<ClientChannel>((done) => made.exec('exit 5', done))
  assert.is((await all(command)).code, 5)
  made.end()
})

test('a port of the dyno is reached, with a half-closed connection seen as one', async () => {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.on('end', () => socket.end(`heard ${text.length}`))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const made = await rig.client(rig.admit().user)
  for (const host of ['0.0.0.0', 'localhost', '127.0.0.1']) {
    const channel = await asked<ClientChannel>((done) => made.forwardOut('127.0.0.1', 1, host, port, done))
    channel.end(Buffer.alloc(1024 * 1024))
    assert.is((await all(channel)).text, `heard ${1024 * 1024}`)
  }
  await waitFor(
    'no connection to be left',
    () => new Promise<boolean>((resolve) => server.getConnections((_, count) => resolve(count === 0))),
  )
  server.close()
  made.end()
})

test('ports where nothing listens, and all other hosts, are refused', async () => {
  const made = await rig.client(rig.admit().user)
  const forward = (host: string, port: number) =>
    asked<ClientChannel>((done) => made.forwardOut('127.0.0.1', 1, host, port, done)).then(
      () => 'connected',
      (error: Error) => error.message,
    )
  assert.match(await forward('127.0.0.1', 1), /open failure/)
  assert.is(rig.opened.length, 1)
  for (const [host, port] of [
    ['10.1.2.4', 80],
    ['127.0.0.2', 80],
    ['example.com', 443],
    ['169.254.169.254', 80],
    ['localhost', 0],
    ['localhost', 70_000],
    ['127.0.0.1; id', 80],
  ] as const)
    assert.match(await forward(host, port), /open failure/)
  assert.is(rig.opened.length, 1)
  made.end()
})

test.run()
