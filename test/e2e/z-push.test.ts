import { readdir, readFile, readlink } from 'node:fs/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Command, interrupt } from './command.ts'
import { touch } from './engine.ts'
import { nodeApp } from './node-app.ts'
import { startPlatform } from './platform.ts'
import { web } from './source.ts'
import { waitFor } from './wait.ts'

const platform = await startPlatform()
test.after(() => platform.stop())

const app = 'pushed'
const remote = (name: string) => `https://localhost:${platform.ports.api}/${name}.git`
const forever = 'echo "the build waits" && sleep 300'
const source = await platform.prepare(async () => {
  await platform.createApp(app)
  const source = await platform.createSource(nodeApp('v1'))
  const { code, output } = await platform.push(source, app)
  assert.is(code, 0, output)
  return source
})

/** A push whose build is under way and does not end by itself; in an object, because awaiting a Command awaits its end. */
async function building(): Promise<{ push: Command }> {
  await source.commit(nodeApp('never', forever))
  const push = platform.push(source, app)
  await waitFor('the build to be under way', () => /the build waits/.test(push.sofar()), { within: 60_000 })
  return { push }
}

/** No build container, no pending build, the old release serves, and the next push goes through. */
async function goesOn(say: string): Promise<void> {
  await waitFor('the build container to be gone', async () => {
    const running = (await platform.containers(app)).filter(({ State }) => State === 'running')
    if (running.length !== 1) throw new Error(running.map(({ Labels }) => JSON.stringify(Labels)).join('\n'))
    return true
  })
  await waitFor('no build to be pending', async () => {
    const builds = await platform.api<{ status: string }[]>('GET', `/apps/${app}/builds`)
    return builds.every(({ status }) => status !== 'pending')
  })
  assert.match((await platform.request(app)).body, /^v\d+\n$/)
  await source.commit(nodeApp(say))
  const { code, output } = await platform.push(source, app)
  assert.is(code, 0, output)
  assert.is((await platform.request(app)).body, `${say}\n`)
}

test('Z9: a second push while the first builds is refused in clear words, and the first goes on', async () => {
  const { push: first } = await building()
  const other = await platform.createSource(nodeApp('other'))
  const second = await platform.push(other, app, '+main')
  assert.is.not(second.code, 0, second.output)
  assert.match(second.output, /remote: .*(build|deploy|push).*(progress|running|under way|already)/i)
  assert.is(first.child.exitCode, null, first.sofar())
  interrupt(first)
  await first
  await goesOn('v2')
})

test('Z9: Ctrl-C in the middle of a push stops its build, and the next push works', async () => {
  const { push } = await building()
  interrupt(push)
  assert.is.not((await push).code, 0)
  await goesOn('v3')
})

test('Z9: a killed hook leaves no lock, and the next push works', async () => {
  const { push } = await building()
  for (const pid of await hooks()) endAtOnce(pid)
  const { code, output } = await push
  assert.is.not(code, 0, output)
  await goesOn('v4')
})

test('Z9: Ctrl-C while the new release boots gives the release up, and the old one serves on', async () => {
  const cut = 'cut-off'
  const source = await platform.deploy(cut)
  await source.version('v2', { web: `BOOT_DELAY=30 ${web}` })
  const push = platform.push(source, cut)
  await platform.booting(cut)
  interrupt(push)
  assert.is.not((await push).code, 0)
  assert.is((await platform.settled(cut, 3)).status, 'failed')
  await waitFor('the new dyno to be gone', async () => (await platform.containers(cut)).length === 1)
  assert.match((await platform.request(cut)).body, /^v1 /)
  await source.version('v3', { web })
  const next = await platform.push(source, cut)
  assert.is(next.code, 0, next.output)
})

test('Z9: a push while the release of another one boots is refused; branch and app stay at the same commit', async () => {
  const twice = 'twice'
  const source = await platform.deploy(twice)
  await source.version('v2', { web: `until test -e /tmp/go; do sleep 0.1; done; exec ${web}` })
  const first = platform.push(source, twice)
  const boots = await platform.booting(twice)
  await source.version('v3', { web })
  const second = await platform.push(source, twice)
  await touch(boots, '/tmp/go')
  const outcome = await first
  assert.is(outcome.code, 0, outcome.output)
  const { stdout } = await platform.git(source.dir, 'ls-remote', remote(twice), 'main')
  const { stdout: served } = await platform.git(source.dir, 'show', `${stdout.split('\t')[0]}:version`)
  const { body } = await platform.request(twice)
  assert.is(body.split(' ')[0], served.trim(), `${outcome.output}\n${second.output}`)
  assert.is.not(second.code, 0)
  assert.match(second.output, /Another push to twice is in progress\. Push again when it has ended\./)
  const third = await platform.push(source, twice)
  assert.is(third.code, 0, third.output)
  assert.match((await platform.request(twice)).body, /^v3 /)
})

test('a push to another branch is stored, said to deploy nothing, and makes no release', async () => {
  const before = (await platform.releases(app)).length
  const { code, output } = await platform.push(source, app, 'main:refs/heads/topic')
  assert.is(code, 0, output)
  assert.match(output, /remote: .*main/)
  assert.is((await platform.releases(app)).length, before)
})

test('a push with a wrong token is refused', async () => {
  const url = `https://x:wrong@localhost:${platform.ports.api}/${app}.git`
  const { code, output } = await platform.git(source.dir, '-c', 'credential.helper=', 'push', url, 'main')
  assert.is.not(code, 0)
  assert.match(output, /Authentication failed|401|403/)
})

test('an app can be cloned', async () => {
  const { code, output } = await platform.git(source.dir, 'clone', '--quiet', remote(app), 'copy')
  assert.is(code, 0, output)
  assert.match(await readFile(`${source.dir}/copy/server.js`, 'utf8'), /v4/)
})

/** One may end with another. */
function endAtOnce(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // it has ended
  }
}

/** The pre-receive hooks of this platform that run now. */
async function hooks(): Promise<number[]> {
  const found: number[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const command = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')
    const directory = await readlink(`/proc/${name}/cwd`).catch(() => '')
    if (/pre-receive|hook\.js/.test(command) && directory.startsWith(platform.data)) found.push(Number(name))
  }
  assert.ok(found.length > 0, 'a hook should be running')
  return found
}

test.run()
