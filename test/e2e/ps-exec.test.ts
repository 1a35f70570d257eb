import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Command, interrupt, run } from './command.ts'
import { call } from './engine.ts'
import { startPlatform } from './platform.ts'
import { freePorts } from './ports.ts'
import { web } from './source.ts'
import { LASTING } from './terminal.ts'
import { waitFor } from './wait.ts'

/** ps:exec, ps:copy, ps:forward and their --status, by the official CLI at a terminal. */
const platform = await startPlatform()
test.after(() => platform.stop())

const app = 'inner-light'
/** What it listens on is reached from inside the dyno only. */
const worker = `perl -MIO::Socket::INET -e '$l=IO::Socket::INET->new(LocalAddr=>"127.0.0.1",LocalPort=>4000,Listen=>5);while($c=$l->accept){print $c "from within\\n";close $c}'`
const source = await platform.prepare(async () => {
  const made = await platform.deploy(app, { web, worker })
  await platform.api('PATCH', `/apps/${app}/formation/worker`, { quantity: 1 })
  await waitFor('both dynos to be up', async () => {
    const dynos = await platform.dynos(app)
    return dynos.length === 2 && dynos.every(({ state }) => state === 'up')
  })
  return made
})

const heroku = (command: string, ...args: string[]): Command =>
  platform.cliAtTerminal([command, '-a', app, ...args], { cwd: source.dir })

/** What it writes, without the colours and with plain line ends. */
const plain = (text: string): string =>
  // biome-ignore lint/complexity/useRegexLiterals: of an escape character
  text.replaceAll(new RegExp('\x1b\\[[0-9;?]*[a-zA-Z]', 'g'), '').replaceAll('\r', '')

test('ps:exec runs a command in the dyno, as its user and with its environment', async () => {
  const { output, code } = await heroku('ps:exec', '--', 'echo "$DYNO $PWD $(id -u) $TERM"; tty; cat version')
  assert.match(plain(output), /Connecting to web\.1 on .*inner-light.*up/)
  assert.match(plain(output), /^web\.1 \/app 1000 vt100\n\/dev\/pts\/\d+\nv1$/m)
  assert.is(code, 0, output)
})

test('ps:exec of another dyno', async () => {
  const { output } = await heroku('ps:exec', '--dyno', 'worker.1', '--', 'echo in $DYNO')
  assert.match(plain(output), /^in worker\.1$/m)
})

test('ps:exec by itself is an interactive bash', async () => {
  const session = heroku('ps:exec')
  await waitFor('the prompt', () => {
    const seen = plain(session.sofar())
    if (/~ \$ /.test(seen)) return true
    throw new Error(seen)
  })
  session.child.stdin?.write('echo $((6 * 7)) in $DYNO\r')
  await waitFor('the answer', () => /^42 in web\.1$/m.test(plain(session.sofar())))
  session.child.stdin?.write(`${LASTING}\r`)
  await waitFor('what lasts', () => /^lasting$/m.test(plain(session.sofar())))
  session.child.stdin?.write('\x03')
  session.child.stdin?.write('exit\r')
  assert.is((await session).code, 0, session.sofar())
})

test("ps:exec --ssh uses the system's ssh", async () => {
  const { output } = await heroku('ps:exec', '--ssh', '--', 'printenv', 'DYNO')
  assert.match(plain(output), /^web\.1$/m)
})

test('ps:exec --status', async () => {
  const { output, code } = await heroku('ps:exec', '--status')
  assert.match(plain(output), /web\.1 +up +running/)
  assert.match(plain(output), /worker\.1 +up +running/)
  assert.is(code, 0)
})

test('ps:exec of a dyno that is not there', async () => {
  const { output, code } = await heroku('ps:exec', '--dyno', 'web.9', '--', 'id')
  assert.match(plain(output), /Could not connect to dyno!/)
  assert.is(code, 2)
})

test('a client that is killed leaves nothing behind in the dyno', async () => {
  const session = heroku('ps:exec', '--', 'echo started; sleep 4321')
  await waitFor('the start', () => /^started$/m.test(plain(session.sofar())))
  const dyno = (await platform.dynos(app)).find(({ name }) => name === 'web.1')
  const container = (await platform.containers(app)).find(({ Labels }) => Labels['sluice.id'] === dyno?.id)
  const sleeps = async () => {
    const { Processes } = await call<{ Processes: string[][] }>('GET', `/containers/${container?.Id}/top`)
    return Processes.some((words) => words.join(' ').includes('sleep 4321'))
  }
  assert.ok(await sleeps())
  interrupt(session, 'SIGKILL')
  await session
  await waitFor('it to be hung up', async () => !(await sleeps()))
})

test('ps:copy', async () => {
  const { output, code } = await heroku('ps:copy', 'server.pl', '--output', 'copied.pl')
  assert.is(code, 0, output)
  assert.is(
    await readFile(join(source.dir, 'copied.pl'), 'utf8'),
    await readFile(join(source.dir, 'server.pl'), 'utf8'),
  )
  const missing = await heroku('ps:copy', 'nothing', '--output', 'copied')
  // whatever the reason, the CLI says this
  assert.match(plain(missing.output), /Could not connect to dyno!/)
  assert.is(missing.code, 2)
})

test('ps:copy of a large file, byte for byte', async () => {
  const made = await heroku('ps:exec', '--', 'head -c 20000000 /dev/urandom > big; sha256sum big')
  const sum = /[0-9a-f]{64}/.exec(plain(made.output))?.[0]
  assert.is((await heroku('ps:copy', 'big')).code, 0)
  const copy = await readFile(join(source.dir, 'big'))
  assert.is(createHash('sha256').update(copy).digest('hex'), sum)
})

test('ps:forward reaches the port of a dyno, also on its loopback only', async () => {
  const port = JSON.parse((await platform.request(app, '/env')).body).PORT
  const { http: near, api: other } = await freePorts()
  const forward = heroku('ps:forward', `${near}:${port}`)
  await waitFor('the forward', () => /Use CTRL\+C/.test(plain(forward.sofar())))
  for (let i = 0; i < 3; i++) {
    const answer = await fetch(`http://127.0.0.1:${near}/`, { headers: { connection: 'close' } })
    assert.match(await answer.text(), /^v1 web\.1/)
  }
  interrupt(forward)
  await forward
  const inner = heroku('ps:forward', `${other}:4000`, '--dyno', 'worker.1')
  await waitFor('the forward', () => /Use CTRL\+C/.test(plain(inner.sofar())))
  const socket = connect(other, '127.0.0.1').setEncoding('utf8')
  const [text] = await once(socket, 'data')
  assert.is(text, 'from within\n')
  socket.destroy()
  interrupt(inner)
  await inner
})

test('ps:socks leads a browser to the ports of a dyno', async () => {
  const port = JSON.parse((await platform.request(app, '/env')).body).PORT
  const socks = heroku('ps:socks')
  await waitFor('the proxy', () => /proxy server started on port 1080/.test(plain(socks.sofar())))
  const browser = [
    'curl',
    '--silent',
    '--noproxy',
    '',
    '--socks5',
    '127.0.0.1:1080',
    `http://127.0.0.1:${port}/`,
  ] as const
  const { stdout, output } = await run([...browser], { env: process.env })
  assert.match(stdout, /^v1 web\.1/, output + socks.sofar())
  interrupt(socks)
  await socks
})

test("sluice gets into a dyno by the API's port: a command and its exit code, a file, a port", async () => {
  const { stdout, stderr, code } = await platform.sluice(
    ['ps:exec', '-a', app, '--', 'cat; echo "$DYNO $PWD"; exit 7'],
    {
      input: 'piped\n',
    },
  )
  assert.equal([stdout, code], ['piped\nweb.1 /app\n', 7], stderr)
  const copied = await platform.sluice(['ps:copy', '-a', app, 'server.pl', '-o', 'by-sluice.pl'], { cwd: source.dir })
  assert.is(copied.code, 0, copied.output)
  assert.is(
    await readFile(join(source.dir, 'by-sluice.pl'), 'utf8'),
    await readFile(join(source.dir, 'server.pl'), 'utf8'),
  )
  const { http: near } = await freePorts()
  const forward = platform.sluice(['ps:forward', '-a', app, '-d', 'worker.1', `${near}:4000`])
  await waitFor('the forward', () => /Use CTRL\+C/.test(forward.sofar()))
  const socket = connect(near, '127.0.0.1').setEncoding('utf8')
  const [text] = await once(socket, 'data')
  assert.is(text, 'from within\n')
  socket.destroy()
  interrupt(forward)
  assert.is((await forward).code, 0, forward.sofar())
})

test('a session says nothing of itself in logs', async () => {
  assert.not.match(platform.daemon.log(), /4321/)
  assert.not.match((await platform.cli(['logs', '-a', app, '--num', '500'])).stdout, /4321/)
})

test.run()
