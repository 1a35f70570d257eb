import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { type AddressInfo, connect, createServer as createListener } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createApi } from '../../daemon/api/api.ts'
import { findApp } from '../../daemon/app/app.ts'
import { createGit } from '../../daemon/git/git.ts'
import { ensureRepository, repositoryPath } from '../../daemon/git/repository.ts'
import { ensureCertificates } from '../../daemon/route/certificate.ts'
import { createExec } from '../../daemon/run/exec.ts'
import { readHostKey } from '../../daemon/run/ssh/host-key.ts'
import { createTunnel } from '../../daemon/run/tunnel.ts'
import { createServer } from '../../daemon/server.ts'
import { startHost } from '../api/host.ts'
import { freePorts } from '../e2e/ports.ts'
import { LASTING, openTerminal } from '../e2e/terminal.ts'
import { waitFor } from '../e2e/wait.ts'
import { startLocally } from '../integration/local-process.ts'
import { execute, main, startPerson } from './sluice.ts'

/** Ways into dynos, and git, by the one port that a platform has; this machine is in place of the dynos, in a folder of its own. */
const host = await startHost()
const folder = await mkdtemp(join(tmpdir(), 'sluice-dyno-'))
const tunnel = createTunnel({
  ...{ clock: host.d.clock, log: host.d.log, hostKey: await readHostKey(join(host.d.config.data, 'ssh.key')) },
  // which is never listened on
  address: host.d.config.execHost,
  exec: createExec({
    exec: async ({ command, env, terminal }) => startLocally(command, terminal, { env, cwd: folder }),
  }),
})
host.d.tunnel = tunnel
const { api: port } = await freePorts()
const config = { ...host.d.config, api: { hosts: ['127.0.0.1'], port } }
const tls = await ensureCertificates(config)
const git = await createGit({ ...host.d, config }, async () => {})
const nothing = { registry: () => false, routers: () => {}, rendezvous: () => {}, attach: () => {} }
const doors = { api: createApi(host.d), git: git.handle, tunnel: tunnel.upgrade, ...nothing }
const server = createServer({ ...doors, routerToken: 'router', tls, log: host.d.log }, config)
await server.listen()
const url = `https://localhost:${port}`
const ca = join(config.data, 'tls', 'ca.pem')
const person = await startPerson({
  ...{ SLUICE_API_URL: url, SLUICE_API_KEY: host.token, SLUICE_API_CA: ca },
  ...{ NO_COLOR: '1', GIT_TERMINAL_PROMPT: '0' },
})
const temporary = join(person.home, 'tmp')
await mkdir(temporary)
const { account } = await host.invite('owner@example.com')
const create = async (name: string) => {
  await host.request('POST', '/apps', { body: { name } })
  return findApp(host.d.db, { ...account, admin: 1 }, name)
}
await host.deploy(await create('shop'), { web: 'serve' })
test.after(async () => {
  await person.close()
  tunnel.close()
  await Promise.all([server.close(), git.close()])
  await host.close()
  await rm(folder, { recursive: true })
})
test.after.each(async () => assert.equal(await readdir(temporary), [], 'a key is left behind'))

const sluice = (args: string[], input = '') => person.sluice(args, { input, env: { TMPDIR: temporary } })

test('ps:exec runs a command in a dyno: its input and outputs are this one’s, and so is its exit code', async () => {
  const done = await sluice(['ps:exec', '-a', 'shop', '--', 'cat; echo oops >&2; exit 7'], 'one\ntwo')
  assert.equal([done.code, done.out], [7, 'one\ntwo'])
  assert.match(done.err, /^Establishing credentials\.\.\. done\nConnecting to web\.1 on shop\.\.\. up\n/)
  assert.match(done.err, /^oops$/m)
  const words = await sluice(['ps:exec', '-a', 'shop', '--', 'echo', 'a  b', 'c'])
  assert.is(words.out, 'a  b c\n')
})

test('ps:exec without a command is a shell, which takes its commands from the input', async () => {
  const { out, code } = await sluice(['ps:exec', '-a', 'shop'], 'echo $((6 * 7))\nexit 3\n')
  assert.equal([out, code], ['42\n', 3])
})

test('at a terminal Ctrl-C is for what runs in the dyno, and the terminal is as before when the shell ends', async () => {
  const terminal = await openTerminal({ ...person.env, TMPDIR: temporary }, { cli: main, cwd: person.home })
  try {
    await terminal.enter('sluice ps:exec -a shop; echo "ended with $?"')
    await terminal.shows(/up\n[\s\S]*[$#]$/m)
    await terminal.enter(LASTING)
    await terminal.shows(/^lasting$/m)
    await terminal.press('C-c')
    await terminal.shows(/\^C/)
    await terminal.enter('echo still $((40 + 2)); exit 5')
    await terminal.shows(/^still 42\n[\s\S]*^ended with 5$/m)
    await terminal.enter('stty -a | grep -ow "icanon\\|echo"')
    await terminal.shows(/^icanon\necho$/m)
  } finally {
    await terminal.close()
  }
})

test('what cannot be entered is told in the platform’s words', async () => {
  const missing = await sluice(['ps:exec', '-a', 'shop', '-d', 'web.9', '--', 'id'])
  assert.is(missing.code, 2)
  assert.match(missing.err, /Establishing credentials\.\.\. !\n.*Couldn't find that dyno/)
  const { out } = await sluice(['ps:exec', '-a', 'shop', '--status'])
  assert.match(out, /=== Heroku Exec shop\n\n {2}Dyno +Dyno Status +Proxy Status\n.*\n {2}web\.1 +up +running\n/)
  const none = await person.sluice(['ps:exec', '-a', 'shop'], { env: { PATH: join(person.home, 'none') } })
  assert.match(none.err, /ssh and ssh-keygen are needed/)
})

test('nobody comes to the tunnel by a name that nobody was given', async () => {
  const sent = request(`${url}/tunnel/web1-0123456789abcdef`, {
    ca: await readFile(ca),
    headers: { connection: 'Upgrade', upgrade: 'tcp' },
  }).end()
  const [{ statusCode }] = await once(sent, 'response')
  assert.is(statusCode, 404)
})

test('ps:copy takes a file byte for byte, and leaves nothing of one that did not come', async () => {
  const bytes = randomBytes(3_000_000)
  await writeFile(join(folder, "it's big"), bytes)
  const copy = (...args: string[]) => sluice(['ps:copy', '-a', 'shop', ...args])
  const done = await copy("it's big", '-o', 'here')
  assert.is(done.out, "Copying it's big to here\n")
  assert.match(done.err, /Downloading it's big\.\.\. 3,000,000 bytes\n$/)
  assert.is(Buffer.compare(await readFile(join(person.home, 'here')), bytes), 0)
  const again = await copy("it's big", '-o', 'here')
  assert.is(again.code, 2)
  assert.match(again.err, /The local file here already exists/)
  const missing = await copy('sub/nothing')
  assert.is(missing.code, 2)
  assert.match(missing.err, /No such file[\s\S]*Could not transfer the file\. Make sure the filename is correct/)
  assert.not.ok(existsSync(join(person.home, 'nothing')))
})

test('Ctrl-C in the middle of a file leaves nothing of it', async () => {
  const held = join(folder, 'held')
  await promisify(execFile)('mkfifo', [held])
  const writer = await open(held, 'r+')
  await writer.write('half of it')
  const target = join(person.home, 'held')
  const half = () => waitFor('half of it', async () => (await readFile(target, 'utf8')) === 'half of it')
  try {
    await during(['ps:copy', 'held', '-a', 'shop'], /Copying held/, async () => void (await half()), 130)
  } finally {
    await writer.close()
  }
  assert.not.ok(existsSync(target))
})

/** Runs one that goes on until Ctrl-C, while `work` is done. */
async function during(args: string[], says: RegExp, work: () => Promise<void>, ends = 0): Promise<void> {
  const child = spawn(process.execPath, [main, ...args], {
    ...{ env: { ...person.env, TMPDIR: temporary }, cwd: person.home, detached: true },
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      said += chunk
    })
  const ended = once(child, 'close')
  await waitFor(`${args[0]} to listen`, () => {
    if (says.test(said)) return true
    if (child.exitCode !== null) throw new Error(said)
    return false
  })
  await work()
  process.kill(-(child.pid ?? 0), 'SIGINT')
  assert.equal(await ended, [ends, null], said)
}

/** Something that is on the loopback only, as in a dyno. */
async function withListener(work: (port: number) => Promise<void>): Promise<void> {
  const listener = createListener((socket) => socket.pipe(socket)).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  try {
    await work((listener.address() as AddressInfo).port)
  } finally {
    listener.close()
  }
}

test('ps:forward has a port of this machine lead into a dyno, until Ctrl-C', () =>
  withListener(async (inner) => {
    const { http: near } = await freePorts()
    await during(['ps:forward', `${near}:${inner}`, '-a', 'shop'], /Use CTRL\+C to stop port forwarding/, async () => {
      for (const word of ['one', 'two']) {
        const socket = connect(near, '127.0.0.1')
        socket.end(word)
        assert.is(await text(socket), word)
      }
      const taken = await sluice(['ps:forward', `${near}`, '-a', 'shop'])
      assert.match(taken.err, /Address already in use[\s\S]*The connection to the dyno has ended/)
    })
    for (const [wrong, says] of [
      ['0', /0 is no port: 1 to 65535/],
      ['1:2:3', /1:2:3 is no port, nor LOCAL:REMOTE/],
      ['80,', /Nothing is no port/],
    ] as const)
      assert.match((await sluice(['ps:forward', wrong, '-a', 'shop'])).err, says)
  }))

test('ps:socks is a way to all ports of a dyno, and no further', () =>
  withListener(async (inner) => {
    const { http: near } = await freePorts()
    await during(['ps:socks', '--port', `${near}`, '-a', 'shop'], /Use CTRL\+C to stop the proxy/, async () => {
      assert.match(await socks(near, '127.0.0.1', inner), /^hello$/)
      assert.is(await socks(near, '192.0.2.1', inner), 'refused')
    })
  }))

/** What comes back of a greeting by a proxy (RFC 1928). */
async function socks(proxy: number, address: string, port: number): Promise<string> {
  const socket = connect(proxy, '127.0.0.1').on('error', () => {})
  socket.write(Buffer.from([5, 1, 0]))
  await once(socket, 'data')
  socket.write(Buffer.from([5, 1, 0, 1, ...address.split('.').map(Number), port >> 8, port & 255]))
  const [answer] = await Promise.race([once(socket, 'data'), once(socket, 'close').then(() => [Buffer.from([5, 1])])])
  if (answer[1] !== 0) return 'refused'
  socket.end('hello')
  return text(socket)
}

test('pipelines:diff tells what the next stage has not, from the repositories of the platform', async () => {
  const [staging, production] = [await create('next'), await create('live')]
  await host.request('POST', '/pipelines', { body: { name: 'line' } })
  for (const [app, stage] of [
    [staging, 'staging'],
    [production, 'production'],
  ] as const)
    await host.request('POST', '/pipeline-couplings', { body: { app: app.id, pipeline: 'line', stage } })
  const diff = (cwd = person.home) =>
    person.sluice(['pipelines:diff', '-a', 'next'], { cwd, env: { TMPDIR: temporary } })
  assert.match((await diff()).err, /No release was found for next, unable to diff/)
  const copy = join(person.home, 'copy')
  const run = async (...args: string[]) => {
    const own = ['-c', 'user.name=Ann', '-c', 'user.email=ann@example.com']
    const { code, out, err } = await execute(['git', '-C', copy, ...own, ...args], { env: person.env })
    assert.is(code, 0, err)
    return out.trim()
  }
  await mkdir(copy)
  await run('init', '--quiet', '--initial-branch', 'main')
  const commit = async (message: string) => {
    await run('commit', '--quiet', '--allow-empty', '--message', message)
    return run('rev-parse', 'HEAD')
  }
  const release = async (app: typeof staging, commit: string) => {
    await host.deploy(app, { web: 'serve' })
    const releases = host.d.db.selectFrom('releases').select('slug_id').where('app_id', '=', app.id)
    const { slug_id } = await releases.orderBy('version', 'desc').executeTakeFirstOrThrow()
    await host.d.db.updateTable('slugs').set({ commit }).where('id', '=', slug_id).execute()
  }
  const first = await commit('begin')
  await ensureRepository(config.data, staging.id)
  await run('push', '--quiet', repositoryPath(config.data, staging.id), 'main')
  await release(staging, first)
  assert.is((await diff()).out, '\nnext was not compared to live as live does not have any releases\n')
  await release(production, first)
  assert.is((await diff()).out, '\nnext is up to date with live\n')
  await commit('a cart')
  const last = await commit('a till')
  await release(staging, last)
  // what the folder at hand has is not fetched
  const ahead = new RegExp(
    `^\\n=== next is ahead of live by 2 commits\\n\\n  SHA +date +author +message\\n.*\\n  ${last.slice(0, 7)} +\\S+T\\S+ +Ann +a till\\n  \\w{7} +\\S+ +Ann +a cart\\n`,
  )
  assert.match((await diff(copy)).out, ahead)
  assert.match(
    (await diff()).out,
    /next was not compared to live because the commits of both are in neither repository/,
  )
  await run('push', '--quiet', repositoryPath(config.data, staging.id), 'main')
  assert.match((await diff()).out, ahead)
  const { out } = await person.sluice(['pipelines:diff', '-a', 'next', '--json'], { env: { TMPDIR: temporary } })
  assert.equal(
    JSON.parse(out)[0].commits.map(({ message }: { message: string }) => message),
    ['a till', 'a cart'],
  )
})

test.run()
