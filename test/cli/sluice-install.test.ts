import { lstat, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { version } from '../../daemon/version.ts'
import { startHost } from '../api/host.ts'
import { execute, startPerson } from './sluice.ts'

/** A laptop that has Node, tar and a shell, and no compiler, installs the command from its platform. */
const host = await startHost()
const person = await startPerson()
test.after(async () => {
  await person.close()
  await host.close()
})
const { home, env } = person
const tools = join(home, 'tools')
await mkdir(tools)
const link = (name: string, to: string) => execute(['ln', '-s', to, join(tools, name)], { env, cwd: home })
for (const name of ['sh', 'tar', 'gzip', 'mktemp', 'mkdir', 'mv', 'rm', 'ln', 'cat', 'env'])
  await link(name, (await execute(['sh', '-c', `command -v ${name}`], { env, cwd: home })).out.trim())
await link('node', process.execPath)

const open = (path: string, headers: Record<string, string> = {}) =>
  fetch(`${host.url}${path}`, { headers }).then(async (response) => ({
    status: response.status,
    headers: response.headers,
    bytes: Buffer.from(await response.arrayBuffer()),
  }))
const script = (await open('/cli/install.sh')).bytes.toString()
const install = (text: string, more: Record<string, string> = {}) =>
  execute(['sh'], { env: { ...env, PATH: tools, ...more }, cwd: home, input: text })
const versions = () => readdir(join(home, '.local', 'share', 'sluice'))

test('one line installs it below ~/.local, with all that it needs, and says what comes next', async () => {
  const { code, out, err } = await install(script)
  assert.equal([code, err], [0, ''])
  assert.match(out, `sluice is installed: ${home}/.local/bin/sluice\n`)
  assert.match(out, `Add it to your PATH:  export PATH="${home}/.local/bin:$PATH"\n`)
  assert.match(out, `Log in:  sluice login ${host.url}\n`)
  const run = await execute([join(home, '.local/bin/sluice'), 'version'], { env: { ...env, PATH: tools }, cwd: home })
  assert.match(run.out, `sluice/${version} `)
  // it loads every file of the command, so nothing is missing
  const words = ['completion:words', '--line', 'sluice users:in']
  const loaded = await execute([join(home, '.local/bin/sluice'), ...words], { env: { ...env, PATH: tools }, cwd: home })
  assert.match(loaded.out, /^users:invite\t/)
  const typo = await execute([join(home, '.local/bin/sluice'), 'routerz'], { env: { ...env, PATH: tools }, cwd: home })
  assert.equal([typo.code, /Did you mean routers\?/.test(typo.err)], [127, true], typo.err)
  const nobody = await execute([join(home, '.local/bin/sluice'), 'apps'], { env: { ...env, PATH: tools }, cwd: home })
  assert.equal(
    [nobody.code, nobody.err],
    [100, ' ›   Error: You are not logged in. Run: sluice login URL, such as https://api.example.com\n'],
  )
  const start = await execute([join(home, '.local/bin/sluice'), 'start'], { env: { ...env, PATH: tools }, cwd: home })
  assert.match(start.err, /This is the command alone, without a platform/)
})

test('installed again it stays one, and what is not its own stays', async () => {
  const theirs = join(home, '.local', 'share', 'sluice', '1.0.0-notes-of-mine')
  await mkdir(theirs)
  const [before] = (await versions()).filter((name) => name.startsWith(version))
  const old = before?.replace(/.$/, (last) => (last === '0' ? '1' : '0')) ?? ''
  await execute(['cp', '-r', before ?? '', old], { env, cwd: join(home, '.local', 'share', 'sluice') })
  assert.is((await install(script)).code, 0)
  assert.equal((await versions()).sort(), [before, '1.0.0-notes-of-mine'].sort())
  assert.ok((await lstat(join(home, '.local/bin/sluice'))).isSymbolicLink())
})

test('a script that was cut off, or has no Node to go by, changes nothing', async () => {
  const other = { HOME: join(home, 'other') }
  await mkdir(other.HOME)
  for (const part of [0.3, 0.99]) await install(script.slice(0, Math.floor(script.length * part)), other)
  const old = join(home, 'old')
  await mkdir(old)
  await writeFile(join(old, 'node'), '#!/bin/sh\n[ "$1" = --version ] && echo v18.0.0 || exit 1\n', { mode: 0o755 })
  const outdated = await install(script, { ...other, PATH: `${old}:${tools}` })
  assert.equal(
    [outdated.code, outdated.err],
    [1, 'sluice: Node 20.12 or newer is needed, and this is v18.0.0. Get one from https://nodejs.org\n'],
  )
  const bare = { ...env, ...other, PATH: '/nowhere' }
  const without = await execute(['/bin/sh'], { env: bare, cwd: home, input: script })
  assert.equal([without.code, /node is missing\. Install node first/.test(without.err)], [1, true])
  assert.equal(await readdir(other.HOME), [])
})

test('npm installs the package from its URL, and asks no registry', async () => {
  const prefix = join(home, 'npm')
  const url = `${host.url}/cli/sluice-${version}.tgz`
  const npm = [
    'npm',
    'install',
    '--global',
    '--prefix',
    prefix,
    '--no-audit',
    '--no-fund',
    '--registry',
    'http://127.0.0.1:1',
    url,
  ]
  const done = await execute(npm, { env: { ...env, npm_config_cache: join(home, 'cache') }, cwd: home })
  assert.is(done.code, 0, done.err)
  const run = await execute([join(prefix, 'bin', 'sluice'), 'version'], { env, cwd: home })
  assert.match(run.out, `sluice/${version} `)
})

test('package and script are the same bytes each time, and who has them gets 304', async () => {
  for (const path of ['/cli/install.sh', `/cli/sluice-${version}.tgz`]) {
    const first = await open(path)
    assert.is(first.status, 200)
    assert.ok(first.bytes.length < 1024 ** 2)
    const tag = first.headers.get('etag') ?? ''
    assert.is((await open(path, { 'if-none-match': tag })).status, 304)
    assert.ok(first.bytes.equals((await open(path)).bytes))
  }
  for (const name of ['sluice-0.0.0.tgz', '..%2fpackage.json', 'x']) assert.is((await open(`/cli/${name}`)).status, 404)
})

test('what a client calls the platform gets into the script only when it is a host', async () => {
  const text = await execute(['curl', '-s', '-H', "Host: x';touch /tmp/x;'", `${host.url}/cli/install.sh`], {
    env,
    cwd: home,
  })
  assert.not.match(text.out, 'touch')
  assert.match(text.out, /no name that a platform has|400/)
})

test('a platform tells everybody its version, where git is, and its authority, but never a key', async () => {
  await mkdir(join(host.d.config.data, 'tls'), { recursive: true })
  assert.is((await host.request('GET', '/cli/platform', { token: null })).json.authority, null)
  await writeFile(join(host.d.config.data, 'tls', 'ca.pem'), 'PUBLIC')
  await writeFile(join(host.d.config.data, 'tls', 'ca.key'), 'SECRET')
  const { json, headers } = await host.request('GET', '/cli/platform', { token: null })
  assert.equal(json, { version, git_host: new URL(host.url).host, authority: 'PUBLIC' })
  assert.is(headers.get('sluice-version'), version)
  assert.is(await readFile(join(host.d.config.data, 'tls', 'ca.key'), 'utf8'), 'SECRET')
})

test.run()
