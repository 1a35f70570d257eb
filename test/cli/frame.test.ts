import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { freePort } from '../e2e/ports.ts'
import { execute, main, startPerson } from './sluice.ts'

/** The frame of the `sluice` command: how a line is understood, and what becomes of answers, against a platform that misbehaves. */
let answer: (req: IncomingMessage, res: ServerResponse, count: number) => void = (_req, res) => res.end('[]')
let count = 0
const server = createServer((req, res) => {
  req.resume()
  answer(req, res, ++count)
})
const port = await freePort()
const listen = async () => {
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
}
await listen()
const url = `http://localhost:${port}`
const person = await startPerson({ SLUICE_API_URL: url, SLUICE_API_KEY: 'a-token' })
test.before.each(() => {
  count = 0
})
test.after(async () => {
  server.close()
  await person.close()
})
const sluice = (...args: string[]) => person.warm(args)
const json = (res: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}) =>
  res.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))

test('a line that makes no sense is refused as the official CLI does, with 2', async () => {
  const lines: [string[], RegExp][] = [
    [
      ['disk', '--foo', '--bar=1'],
      /^ › {3}Error: Nonexistent flags: --foo, --bar=1\n › {3}See more help with --help\n\nUSAGE\n/,
    ],
    [['disk', 'a', 'b', 'c'], /^ › {3}Error: Unexpected arguments: b, c\n/],
    [['image'], /^ › {3}Error: Missing 1 required arg:\n › {3}type=image {2}process type/],
    [['routers', '--forget'], /^ › {3}Error: Flag --forget expects a value\n$/],
    [
      ['webhooks:add'],
      /^ › {3}Error: The following errors occurred:\n( › {5}Missing required flag (app|include|level|url)\n){4}/,
    ],
    [['image', 'web=a@b'], /^ › {3}Error: The following error occurred:\n › {5}Missing required flag app\n/],
    [['help', 'confg'], /^ › {3}Error: Command confg not found\.\n$/],
  ]
  for (const [args, says] of lines) {
    const { code, out, err } = await sluice(...args)
    assert.equal([code, out], [2, ''], args.join(' '))
    assert.match(err, says)
  }
  assert.is(count, 0)
})

test('an unknown command ends with 127, and one that is near is named', async () => {
  const { code, err } = await sluice('rotuers')
  assert.is(code, 127)
  assert.match(
    err,
    /Warning: rotuers is not a sluice command\.\n › {3}Error: Did you mean routers\? Run sluice help for/,
  )
  const other = await sluice('disk:zzzzz')
  assert.is(other.code, 127)
  assert.match(other.err, /Run sluice help disk for a list of available commands/)
})

test('help lists the topics; of a command it has the flags and examples, whichever way it is asked for', async () => {
  assert.match((await sluice()).out, /USAGE\n {2}\$ sluice COMMAND\n\nTOPICS\n(.*\n)* {2}routers {2,}the routers/)
  const texts = await Promise.all([sluice('help', 'gc'), sluice('gc', '--help'), sluice('gc', '-h')])
  for (const { code, out } of texts) {
    assert.is(code, 0)
    assert.is(out, texts[0]?.out)
    assert.match(out, /\nFLAGS\n {2}--dry-run .*\n(.*\n)*\nEXAMPLES\n/)
  }
})

test('flags may stand before and after arguments, and the version has a flag and a word', async () => {
  answer = (req, res) => json(res, 200, { url: req.url, app: { name: 'a' }, holdings: [] })
  const [before, after] = [await sluice('disk', '--json', 'shop'), await sluice('disk', 'shop', '--json')]
  assert.is(before.out, after.out)
  assert.match(before.out, '/sluice/disk/apps/shop')
  assert.match((await sluice('version')).out, /^sluice\/\d+\.\d+\.\d+ \w+-\w+ node-v/)
  assert.is((await sluice('--version')).out, (await sluice('version')).out)
})

test('what the API refuses is told in its words, with its id; of a 500 the request is named', async () => {
  answer = (_req, res) => json(res, 404, { id: 'not_found', message: "Couldn't find that app.", resource: 'app' })
  const missing = await sluice('disk', 'shop')
  assert.equal([missing.code, missing.out], [2, ''])
  assert.match(missing.err, /^ › {3}Error: Couldn't find that app\.\n ›\n › {3}Error ID: not_found\n$/)
  answer = (_req, res) => json(res, 500, { id: 'internal_server_error', message: 'Oh.' }, { 'request-id': 'r-1' })
  assert.match((await sluice('routers')).err, /Error ID: internal_server_error\n › {3}Request ID: r-1\n$/)
  answer = (_req, res) => json(res, 401, { id: 'unauthorized', message: 'Invalid credentials provided.' })
  assert.match((await sluice('routers')).err, new RegExp(`Log in again: sluice login ${url}`))
})

test('a platform whose repositories are elsewhere gets no token of ours into git without a word of agreement', async () => {
  answer = (req, res) =>
    req.url === '/cli/platform'
      ? json(res, 200, { version: '1.0.0', git_host: 'git.example.com', authority: null })
      : json(res, 200, { email: 'ann@example.com' })
  const { code, out, err } = await person.sluice(['login', url, '--token'], { input: 'a-token-of-ann' })
  assert.equal([code, out], [1, ''])
  assert.match(err, /repositories are at git\.example\.com, which is elsewhere[\s\S]*Log in at one to agree to it/)
  assert.not.ok(existsSync(join(person.home, '.gitconfig')))
  assert.not.ok(existsSync(join(person.home, '.config', 'sluice', 'logins.json')))
})

test('what is not a platform is told apart from one, and a name without address from a silent one', async () => {
  answer = (_req, res) => res.writeHead(404).end('<html>')
  assert.match((await sluice('routers')).err, /answered with 404, and not as a platform does\. Is that its address\?/)
  const env = { SLUICE_API_URL: 'https://nowhere.invalid' }
  assert.match((await person.sluice(['routers'], { env })).err, /There is no address for nowhere\.invalid/)
})

test('a request is repeated while a daemon is restarted, and what may have changed something only when it reached nobody', async () => {
  answer = (_req, res, n) => (n < 3 ? json(res, 503, { id: 'maintenance', message: 'Soon.' }) : json(res, 200, []))
  assert.match((await sluice('routers')).out, /No router has ever connected/)
  assert.is(count, 3)
  answer = (req, res, n) => (n < 2 ? req.socket.destroy() : json(res, 200, []))
  count = 0
  assert.is((await sluice('routers')).code, 0)
  assert.is(count, 2)
  count = 0
  assert.match((await sluice('gc')).err, /was cut off/)
  assert.is(count, 1)
})

test('a connection that is refused is tried again for a while, and then the way out is told', async () => {
  server.close()
  server.closeAllConnections()
  const refused = person.sluice(['gc'])
  assert.match((await refused).err, new RegExp(`The platform does not answer at ${url}\\. Is it started\\?`))
  const restarted = person.sluice(['gc', '--json'])
  answer = (_req, res) => json(res, 200, { collected: [], file_systems: [] })
  await listen()
  assert.equal(JSON.parse((await restarted).out).collected, [])
})

test('warnings of the platform are shown once, and that it is newer', async () => {
  answer = (_req, res) => json(res, 200, [], { 'x-heroku-warning': 'Warning: Beware.', 'sluice-version': '999.0.0' })
  const { out, err } = await sluice('routers', '--json')
  assert.is(out, '[]\n')
  assert.match(
    err,
    /^ › {3}Warning: Beware\.\n › {3}Warning: The platform runs sluice 999\.0\.0, this is .* Update it: curl -fsSL http/,
  )
})

test("names of other people's making have no power over the terminal", async () => {
  const host = 'a\u001b]0;title\u0007\u001b[2Jb\r\nc'
  const router = { id: 'r', host, address: 'x', state: 'connected', workers: 1, applied_version: 3, behind: 0 }
  answer = (_req, res) => json(res, 200, [router])
  const { out } = await sluice('routers')
  assert.match(out, 'a]0;title[2Jb c')
  assert.not.match(out, /[\u0007\u001b\r]/)
})

test('a reader that has had enough ends the command quietly, and Ctrl-C ends it as the shell expects', async () => {
  answer = (_req, res) =>
    json(
      res,
      200,
      Array.from({ length: 20_000 }, () => ({ host: 'x'.repeat(100) })),
    )
  const line = `'${process.execPath}' '${main}' routers --json | head -n 1; echo "\${PIPESTATUS[0]}"`
  const { out, err } = await execute(['bash', '-c', line], { env: person.env, cwd: person.home })
  assert.equal([out, err], ['[\n0\n', ''])
  answer = () => child.kill('SIGINT')
  const child = spawn(process.execPath, [main, 'routers'], { env: person.env, stdio: 'ignore' })
  const [code, signal] = await once(child, 'exit')
  assert.equal([code, signal], [null, 'SIGINT'])
})

test('images whose release failed say so, and not that another serves, which the first of an app has not', async () => {
  const release = { id: 'r', version: 2, description: 'Deployed web', status: 'failed' }
  answer = (req, res) => json(res, 200, req.url?.endsWith('/releases') ? [release] : release)
  const { code, err } = await sluice('image', 'web=a@b', '-a', 'shop')
  assert.is(code, 1)
  assert.is(err, ' ›   Error: v2 of shop failed. Why, and what serves: sluice logs -a shop\n')
})

test.run()
