import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, readdir, readlink, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { readConfig } from '../../daemon/config.ts'
import { ensureTestImage, testImage } from '../engine/image.ts'
import { startOther } from '../integration/registry-rig.ts'
import { run as execute } from './command.ts'
import { dockerApp } from './docker-app.ts'
import { describe, startLoad } from './load.ts'
import { startPlatform } from './platform.ts'
import { waitFor } from './wait.ts'

const HOSTS = '/etc/hosts'
const platform = await startPlatform({ SLUICE_DRAIN_ALLOW: 'localhost' })
const { data, ports } = platform
const line = `127.0.0.1 api.localhost registry.localhost registry.localhost:${ports.api} # a test of Sluice\n`
const folder = await mkdtemp(join(tmpdir(), 'sluice-container-'))
const registry = `registry.localhost:${ports.api}`

const env = await platform.prepare(async () => {
  await ensureTestImage('/var/run/docker.sock')
  const before = run('env', '--containers')
  assert.match(before, /Add this line to \/etc\/hosts: 127\.0\.0\.1 api\.localhost registry\.localhost/)
  // what a test that was killed has left goes first
  writeFileSync(HOSTS, readFileSync(HOSTS, 'utf8').replace(/^.*# a test of Sluice\n/gm, '') + line)
  const exported = run('env', '--containers')
  const printed = execFileSync('bash', ['-c', `${exported}\nenv -0`], { encoding: 'utf8' })
  const all = Object.fromEntries(
    printed.split('\0').map((pair) => [pair.split('=', 1)[0], pair.slice(pair.indexOf('=') + 1)]),
  )
  const wanted = Object.entries(all).filter(([name]) => /^HEROKU_/.test(name))
  // the engine's own client; a newer one needs its plugin for builds
  return {
    ...Object.fromEntries(wanted),
    PATH: `/usr/bin:${process.env.PATH}`,
    DOCKER_CONFIG: folder,
  }
})

/** The command of this checkout, for this platform; what it printed. */
function run(...args: string[]): string {
  const main = resolve(import.meta.dirname, '..', '..', 'cli', 'main.js')
  const settings = { ...process.env, SLUICE_DATA: data, SLUICE_PORT: String(ports.api) }
  try {
    return execFileSync(process.execPath, [main, ...args], { env: settings, encoding: 'utf8', stdio: 'pipe' })
  } catch (error) {
    return String((error as { stderr: string }).stderr)
  }
}

test.after(async () => {
  writeFileSync(HOSTS, readFileSync(HOSTS, 'utf8').replace(line, ''))
  await platform.api('DELETE', '/apps/shop')
  await waitFor('the app to be gone with its images', () => held().length === 0)
  for (const type of ['web', 'release']) docker('rmi', '--force', `${registry}/shop/${type}`)
  await platform.stop()
  await rm(folder, { recursive: true, force: true })
})

const docker = (...args: string[]): string =>
  execFileSync('docker', args, { encoding: 'utf8', env: { ...process.env, ...env }, stdio: 'pipe' })

/** Names of the images that the platform holds. */
const held = (): string[] => {
  const installation = readFileSync(join(data, 'installation'), 'utf8').trim().slice(0, 8)
  const names = docker('images', '--format', '{{.Repository}}:{{.Tag}}').split('\n')
  return names.filter((name) => name.startsWith('sluice') && name.includes(installation))
}

async function ok(command: Promise<{ code: number | null; output: string }>): Promise<string> {
  const { code, output } = await command
  assert.is(code, 0, output)
  return output
}

/** As container:push does, without the time that the CLI takes to start. */
async function push(type: string): Promise<void> {
  await ok(command(['docker', 'build', '--quiet', '--tag', `${registry}/shop/${type}`, folder]))
  await ok(command(['docker', 'push', '--quiet', `${registry}/shop/${type}`]))
}

const command = (argv: [string, ...string[]]) => execute(argv, { env: { ...process.env, ...env } })

const lay = async (files: Record<string, string>): Promise<void> => {
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
}

test('heroku container:login, container:push and container:release: the image serves through the router', async () => {
  await platform.api('POST', '/apps', { name: 'shop', stack: 'container' })
  assert.match(await ok(platform.cli(['container:login'], { env })), /Login Succeeded/)
  await lay(dockerApp('v1'))
  const pushed = await ok(platform.cli(['container:push', 'web', '-a', 'shop'], { env, cwd: folder }))
  assert.match(pushed, /Your image has been successfully pushed/)
  assert.match(
    await ok(platform.cli(['container:release', 'web', '-a', 'shop'], { env })),
    /Releasing images web to .*shop.*done/,
  )
  await waitFor('the image to serve', async () => (await platform.request('shop')).body === 'v1\n')
  assert.is(held().length, 1)
})

test('a second image is released without one failed request, after its release command', async () => {
  await lay(dockerApp('v2'))
  await push('web')
  await lay({ Dockerfile: `FROM ${testImage}\nCMD ["sh", "-c", "echo migrating as $(id -u)"]\n` })
  await push('release')
  const load = startLoad(ports.http, 'shop.localhost')
  const output = await ok(platform.cli(['container:release', 'web', 'release', '-a', 'shop'], { env }))
  assert.match(output, /Running release command\.\.\.\s+migrating as 1000/)
  await waitFor('the new image to serve', () => load.seen('v2\n') !== undefined)
  await waitFor('the old dyno to go', async () => (await platform.dynos('shop')).length === 1)
  const result = await load.stop()
  assert.is(result.failures.length, 0, describe(result))
})

test('a daemon that is killed takes its registry with it, and the next one has the images', async () => {
  const before = await component()
  await platform.daemon.kill('SIGKILL')
  await waitFor('the registry to end', async () => (await component()) !== before)
  await platform.startDaemon()
  docker('rmi', `${registry}/shop/web`)
  docker('pull', '--quiet', `${registry}/shop/web`)
  assert.is((await platform.request('shop')).body, 'v2\n')
})

/** The process of the component of this platform. */
async function component(): Promise<string | undefined> {
  const folder = await realpath(join(data, 'registry'))
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name)))
    if ((await readlink(`/proc/${pid}/cwd`).catch(() => '')) === folder) return pid
  return undefined
}

test('container:pull brings the image back, container:run runs it here, container:logout forgets the password', async () => {
  docker('rmi', `${registry}/shop/web`)
  await ok(platform.cli(['container:pull', 'web', '-a', 'shop'], { env }))
  assert.match(docker('image', 'inspect', `${registry}/shop/web`), /VERSION=v2/)
  const ran = await ok(platform.cliAtTerminal(['container:run', 'web', 'id', '-a', 'shop'], { env, cwd: folder }))
  assert.match(ran, /Running .*id.* on registry\.localhost[\s\S]*uid=/)
  // The CLI leaves the container that it has run.
  docker(
    'rm',
    ...docker('ps', '-aq', '--filter', 'status=exited', '--filter', `ancestor=${registry}/shop/web`)
      .split('\n')
      .filter(Boolean),
  )
  await ok(platform.cli(['container:logout'], { env }))
  assert.not.match(readFileSync(join(folder, 'config.json'), 'utf8'), registry)
})

test('container:rm takes the process type away', async () => {
  await ok(platform.cli(['container:rm', 'web', '-a', 'shop'], { env }))
  await waitFor('its dynos to go', async () => (await platform.dynos('shop')).length === 0)
})

test('sluice image: an image of another registry is released by its digest, and nothing else', async () => {
  const other = await startOther(readConfig())
  try {
    const { id, digest } = await other.client.runnable('team/thing')
    const reference = `worker=localhost:${other.port}/team/thing@${digest}`
    const printed = JSON.parse(run('image', reference, '--app', 'shop', '--json'))
    assert.equal([printed.status, printed.description], ['succeeded', `Deployed worker (${id.slice(7, 19)})`])
    assert.match(run('image', reference, '-a', 'shop'), /shop has these images already/)
    assert.match(run('image', `worker=localhost:${other.port}/team/thing:latest`, '-a', 'shop'), /HOST\/NAME@sha256/)
    assert.match(run('image', `web=127.0.0.1:${other.port}/thing@${digest}`, '-a', 'shop'), /address of this machine/)
    assert.match(run('image', '--app', 'shop'), /Missing 1 required arg/)
  } finally {
    await other.close()
  }
})

test.run()
