import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import ssh2, { type ClientChannel, type ConnectConfig } from 'ssh2'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { readConfig } from '../../daemon/config.ts'
import { limits } from '../../daemon/limits.ts'
import { SHELL } from '../../daemon/run/tunnel.ts'
import { waitFor } from '../e2e/wait.ts'
import { all, asked, key, startTunnel } from './tunnel-rig.ts'

/** ps:exec's tunnel: who is let in, what they may run, and how it ends. */
const rig = await startTunnel()
test.after(() => rig.close())
test.before.each(() => {
  rig.opened = []
  rig.late = 0
})

test("the system's ssh runs a command, with its output apart from its errors", async () => {
  const { user } = rig.admit()
  const { stdout, stderr, code } = await rig.openssh('ssh', user, ['cat; echo oops >&2; exit 9'], 'input\n')
  assert.is(stdout, 'input\n')
  assert.match(stderr, /^oops$/m)
  assert.is(code, 9)
})

test('a command of the CLI has a terminal, and a shell is bash', async () => {
  const made = await rig.client(rig.admit().user)
  const command = await asked<ClientChannel>((done) => made.exec('tty; echo $TERM; exit 4', { pty: true }, done))
  const { text, code } = await all(command)
  assert.match(text, /\/dev\/pts\/\d+\r\nvt100\r\n/)
  assert.is(code, 4)
  const shell = await asked<ClientChannel>((done) => made.shell(done))
  await once(shell, 'data')
  shell.write('echo $0 is here; exit\n')
  assert.match((await all(shell)).text, /bash is here/)
  assert.ok(rig.opened.every(({ dyno }) => dyno === 'dyno-1'))
  made.end()
})

test('where there is no bash, a shell is sh', async () => {
  const path = await mkdtemp(join(tmpdir(), 'sluice-path-'))
  await symlink('/bin/sh', join(path, 'sh'))
  const { stdout } = spawnSync('/bin/sh', ['-c', SHELL], { env: { PATH: path }, input: 'echo $0 is here' })
  await rm(path, { recursive: true })
  assert.is(stdout.toString(), 'sh is here\n')
})

test('a client that is gone hangs all of its processes up', async () => {
  const made = await rig.client(rig.admit().user)
  for (const pty of [true, false]) {
    const channel = await asked<ClientChannel>((done) => made.exec('echo on; sleep 1000', { pty }, done))
    await once(channel, 'data')
  }
  made.destroy()
  await waitFor(
    'both to be hung up',
    () => rig.opened.length === 2 && rig.opened.every(({ process }) => process.hungUp),
  )
})

test('a channel that is closed hangs its process up, though the connection stays', async () => {
  const made = await rig.client(rig.admit().user)
  const channel = await asked<ClientChannel>((done) => made.exec('echo on; exec sleep 1000', done))
  await once(channel, 'data')
  channel.write(Buffer.alloc(4 * 1024 * 1024))
  channel.close()
  await waitFor('the hang-up', () => rig.opened[0]?.process.hungUp)
  made.end()
})

test('a key opens the dyno that it was given for, and nothing else', async () => {
  const { user } = rig.admit({ dyno: 'one' })
  const other = ssh2.utils.generateKeyPairSync('rsa', { bits: 2048 })
  const foreign = rig.admit({ dyno: 'two', key: other.public })
  const denied = /All configured authentication methods failed/
  assert.match(await rig.refused(foreign.user), denied)
  assert.match(await rig.refused(user, { privateKey: other.private }), denied)
  assert.match(await rig.refused('web1'), denied)
  assert.match(await rig.refused(''), /failed|Disconnected|username/i)
  assert.match(await rig.refused(user, { authHandler: ['password'], password: 'guess' }), denied)
  assert.is(rig.opened.length, 0)
})

test('a key is good for its time, and as long as its owner may see the app', async () => {
  let allowed = true
  const { user } = rig.admit({ permitted: async () => allowed })
  ;(await rig.client(user)).end()
  allowed = false
  assert.match(await rig.refused(user), /authentication methods failed/)
  allowed = true
  ;(await rig.client(user)).end()
  rig.late = limits.execKey + 1000
  assert.match(await rig.refused(user), /authentication methods failed/)
})

test('no more keys of an app are kept than it may have: the oldest goes', async () => {
  const { user } = rig.admit()
  for (let i = 0; i < limits.execKeysPerApp - 1; i++) rig.admit()
  ;(await rig.client(user)).end()
  rig.admit()
  assert.match(await rig.refused(user), /authentication methods failed/)
})

test('a key that is none, or weak, is refused with a sentence', () => {
  for (const bad of ['', 'ssh-rsa AAAA', key.private, 'ssh-dss AAAAB3NzaC1kc3MAAACB'])
    assert.throws(() => rig.admit({ key: bad }), /OpenSSH public key of type RSA, ECDSA or Ed25519/)
  const short = ssh2.utils.generateKeyPairSync('rsa', { bits: 1024 })
  assert.throws(() => rig.admit({ key: short.public }), /at least 2048 bits/)
})

test('old algorithms are not spoken', async () => {
  const { user } = rig.admit()
  for (const algorithms of [
    { kex: ['diffie-hellman-group14-sha1'] },
    { cipher: ['aes128-cbc'] },
    { serverHostKey: ['ssh-rsa'] },
  ] as ConnectConfig['algorithms'][])
    assert.match(await rig.refused(user, { ...(algorithms ? { algorithms } : {}) }), /no matching/i)
})

test('a client may have so many channels at once, and a dyno so many sessions', async () => {
  const { user } = rig.admit()
  const made = await rig.client(user)
  const start = (from: ssh2.Client) => asked<ClientChannel>((done) => from.exec('exec sleep 1000', done))
  for (let i = 0; i < limits.sshChannels; i++) await start(made)
  assert.match(await start(made).then(String, (error: Error) => error.message), /open failure/)
  const others = [made]
  while (others.length * limits.sshChannels < limits.execsPerDyno) {
    const other = await rig.client(user)
    others.push(other)
    for (let i = 0; i < limits.sshChannels; i++) await start(other)
  }
  const last = await rig.client(user)
  const full = await start(last)
  let text = ''
  full.stderr.on('data', (chunk: Buffer) => {
    text += chunk
  })
  await all(full)
  assert.match(text, /web\.1 has 64 sessions open\. End one/)
  for (const one of [...others, last]) one.end()
  await waitFor('all to be hung up', () => rig.opened.every(({ process }) => process.hungUp))
})

test('a client that does not authenticate, or speaks no SSH, is sent away', async () => {
  const guesser = new ssh2.Client()
  let attempts = 0
  guesser.connect({
    host: rig.address,
    port: 80,
    username: 'nobody',
    authHandler: (_left, _partial, next) => next({ type: 'password', username: 'nobody', password: `${++attempts}` }),
  })
  await once(guesser, 'close').catch(() => {})
  assert.ok(attempts <= limits.sshAttempts + 2, `${attempts} attempts`)
  const stranger = connect(80, rig.address)
  stranger.on('error', () => {})
  stranger.resume().write('GET / HTTP/1.1\r\nHost: here\r\n\r\n'.repeat(1000))
  await once(stranger, 'close')
})

test('an address that cannot be had is told once, and to whoever asks', async () => {
  rig.logged = []
  const other = rig.make('203.0.113.7')
  await other.listen()
  assert.is(rig.logged.length, 1)
  assert.match(rig.logged[0] ?? '', /Port 80 of 203\.0\.113\.7 cannot be had .*Set SLUICE_EXEC_HOST/)
  const access = {
    app: 'app',
    dyno: { id: 'x', name: 'web.1', address: null },
    key: key.public,
    permitted: async () => true,
  }
  assert.throws(() => other.admit(access), /ps:exec is off on this platform\. .*SLUICE_EXEC_HOST/)
  other.close()
})

test('with a router that has port 80 of all addresses it takes none of its own accord, and says what helps', async () => {
  assert.is(readConfig({}).execHost, '127.0.0.2')
  assert.is(readConfig({ SLUICE_HTTP_PORT: '80' }).execHost, undefined)
  assert.is(readConfig({ SLUICE_HTTP_PORT: '80', SLUICE_EXEC_HOST: '192.0.2.2' }).execHost, '192.0.2.2')
  rig.logged = []
  const none = rig.make(undefined)
  await none.listen()
  assert.match(rig.logged[0] ?? '', /Let its sockets listen at one of them, and set SLUICE_EXEC_HOST to another/)
})

test('nothing of what passed was logged', () => assert.equal(rig.logged.length, 1))

test.run()
