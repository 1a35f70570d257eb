import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { get } from 'node:https'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { startNameServer } from '../integration/dns-server.ts'
import { startPebble } from '../integration/pebble.ts'
import { interrupt } from './command.ts'
import { startPlatform } from './platform.ts'
import { freePorts } from './ports.ts'
import { sampleFiles } from './source.ts'
import { waitFor } from './wait.ts'

/**
 * A host of which only the router's ports are open: API, git and terminals at names of the platform, with certificates of a real authority,
 * for clients that trust nothing else.
 */
const API = 'api.sluice.localhost'
const GIT = 'git.sluice.localhost'
const app = 'afar'

const folder = await mkdtemp(join(tmpdir(), 'sluice-names-'))
const { api: directory, tls: management, http } = await freePorts()
const dns = await startNameServer()
for (const name of [API, GIT]) dns.known.add(name)
const authority = await startPebble(folder, { ports: { directory, management, http, https: 1 }, dns })
/** Where the authority looks is settled before the router's port is, and it may look as soon as there is a router. */
let settle = (_: number): void => {}
const router = new Promise<number>((resolve) => {
  settle = resolve
})
const port80 = createServer(async (socket) => {
  socket.on('error', () => {})
  const further = connect(await router, '127.0.0.1').on('error', () => {})
  socket.pipe(further).pipe(socket)
}).listen(http, '127.0.0.1')
await once(port80, 'listening')
const platform = await startPlatform({
  ...{ SLUICE_API_HOST: API, SLUICE_GIT_HOST: GIT, SLUICE_ACME_DIRECTORY: `https://localhost:${directory}/dir` },
  SLUICE_CA_BUNDLE: join(folder, 'pebble.pem'),
})
const { tls } = platform.ports
settle(platform.ports.http)
const root = join(folder, 'root.pem')
const resolver = join(folder, 'resolver.cjs')
await writeFile(root, authority.root)
// git finds these names on this machine, Node.js does not
await writeFile(
  resolver,
  `const dns = require('node:dns')
const lookup = dns.lookup
dns.lookup = (name, ...rest) => lookup(name.endsWith('.localhost') ? '127.0.0.1' : name, ...rest)
`,
)
const token = (await platform.api<{ access_token: { token: string } }>('POST', '/oauth/authorizations', {}))
  .access_token.token
const env = {
  HEROKU_HOST: `https://${API}:${tls}`,
  HEROKU_GIT_HOST: `${GIT}:${tls}`,
  HEROKU_HEADERS: JSON.stringify({ authorization: `Bearer ${token}` }),
  NODE_EXTRA_CA_CERTS: root,
  NODE_OPTIONS: `--require ${resolver}`,
}
const git = (dir: string, ...args: string[]) =>
  platform.git(
    dir,
    ...['-c', `http.https://${GIT}:${tls}/.sslCAInfo=${root}`],
    ...['-c', `credential.https://${GIT}:${tls}.helper=!f() { echo username=_; echo "password=${token}"; }; f`],
    ...args,
  )

test.after(async () => {
  await platform.stop()
  authority.child.kill('SIGKILL')
  dns.close()
  port80.close()
  await rm(folder, { recursive: true, force: true })
})

/** Whether a client that trusts the authority alone believes the router. */
async function trusted(servername: string): Promise<boolean> {
  const socket = connectTls({ host: '127.0.0.1', port: tls, servername, ca: authority.root, rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  socket.destroy()
  return socket.authorized
}

test('each name gets its certificate by itself; http leads to https', async () => {
  for (const name of [API, GIT]) await waitFor(`a certificate for ${name}`, () => trusted(name))
  const { status, headers } = await platform.request('api.sluice', '/apps')
  assert.equal([status, headers.location], [301, `https://${API}:${tls}/apps`])
})

test('an app is made, pushed and cloned by the official CLI and git', async () => {
  const source = await platform.createSource(sampleFiles())
  const { code, output } = await platform.cli(['create', app], { env, cwd: source.dir })
  assert.is(code, 0, output)
  const remote = (await git(source.dir, 'remote', 'get-url', 'heroku')).stdout.trim()
  assert.is(remote, `https://${GIT}:${tls}/${app}.git`)
  const push = await git(source.dir, 'push', 'heroku', 'main')
  assert.is(push.code, 0, push.output)
  assert.match(push.output, /Verifying deploy\.\.\. done\./)
  const clone = await git(folder, 'clone', '--quiet', remote, 'clone')
  assert.is(clone.code, 0, clone.output)
  assert.is((await git(join(folder, 'clone'), 'rev-parse', 'HEAD')).stdout.trim(), await source.head())
})

test('a one-off dyno has its input, output and exit code', async () => {
  const { stdout, code, output } = await platform.cli(
    ['run', '--exit-code', '--app', app, '--', 'sh', '-c', 'cat; exit 7'],
    { env, input: 'from afar\n' },
  )
  assert.equal([stdout, code], ['from afar\n', 7], output)
})

/** One request to the API by its name. */
const ask = (path: string) =>
  new Promise<number | undefined>((resolve, reject) => {
    const headers = { host: `${API}:${tls}`, authorization: `Bearer ${token}` }
    const place = { host: '127.0.0.1', port: tls, servername: API, ca: authority.root, agent: false as const }
    get({ ...place, path, headers }, (answer) => {
      answer.resume().once('end', () => resolve(answer.statusCode))
    }).once('error', reject)
  })

test('a log is followed', async () => {
  const tail = platform.cli(['logs', '--tail', '--app', app], { env })
  await waitFor('the log', () => tail.sofar().includes('listens on'))
  await waitFor('a line that is new', async () => {
    await platform.request(app, '/followed')
    return tail.sofar().includes('path="/followed"')
  })
  interrupt(tail)
  await tail
})

test('while the daemon is away a request waits', async () => {
  await platform.daemon.kill('SIGKILL')
  const asking = ask('/account')
  assert.is((await platform.request(app)).status, 200)
  await platform.startDaemon()
  assert.is(await asking, 200)
})

test('a router that was killed has names, certificates and the way to the API from its disk', async () => {
  await platform.router.kill('SIGKILL')
  platform.router.start()
  await waitFor('the certificate', () => trusted(API))
  assert.is(await ask('/account'), 200)
})

test.run()
