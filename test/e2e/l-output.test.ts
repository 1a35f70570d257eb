import { once } from 'node:events'
import { readdir, writeFile } from 'node:fs/promises'
import { get, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Refusal } from './client.ts'
import { early } from './early.ts'
import { touch, typeLabel } from './engine.ts'
import { nodeApp } from './node-app.ts'
import { startPlatform } from './platform.ts'
import { sampleFiles, web } from './source.ts'
import { waitFor } from './wait.ts'

/** Output of builds and release commands while they run: to git, to `output_stream_url`, to `releases:output`, and afterwards. */
const platform = await startPlatform()
test.after(() => platform.stop())

interface Build {
  id: string
  status: string
  output_stream_url: string
}

interface Release {
  version: number
  status: string
  output_stream_url: string | null
}

/** A stream that is being read, as curl does. */
interface Stream {
  text(): string
  /** Resolves with all of it when it has ended. */
  end: Promise<string>
}

async function follow(url: string): Promise<Stream> {
  const [response] = (await once(get(url), 'response')) as [IncomingMessage]
  if (response.statusCode !== 200) throw new Refusal(response.statusCode ?? 0, '', `the stream answered`)
  let text = ''
  response.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  return { text: () => text.replaceAll('\0', ''), end: once(response, 'end').then(() => text.replaceAll('\0', '')) }
}

/** Whether a text has this line; git pads what it shows. */
const has = (text: string, line: string): boolean =>
  new RegExp(`^(remote:|app\\[build\\]:)? *${line} *$`, 'm').test(text)

const newestBuild = async (app: string): Promise<Build | undefined> =>
  (await platform.api<Build[]>('GET', `/apps/${app}/builds`)).at(-1)

const release = (app: string, version: number) => platform.api<Release>('GET', `/apps/${app}/releases/${version}`)

/** The build waits until its `/tmp/go` is there, which is a file of this host. */
const gated = 'echo first step && until test -e /tmp/go; do sleep 0.1; done && echo second step'
const open = async (build: string) => {
  const folder = join(platform.data, 'builds', build, 'tmp')
  assert.ok((await readdir(folder)).length > 0)
  await writeFile(join(folder, 'go'), '')
}

test('a build is shown while it runs: to git, to its stream and in the log; afterwards the stream is the same from its start', async () => {
  await platform.createApp('building')
  const push = platform.push(await platform.createSource(nodeApp('hello', gated)), 'building')
  await waitFor('git to show the first step', () => has(push.sofar(), 'first step'), { within: 90_000 })
  const build = await newestBuild('building')
  if (!build) throw new Error('there is no build')
  assert.is(build.status, 'pending')
  const stream = await follow(build.output_stream_url)
  await waitFor('the stream to show the first step', () => has(stream.text(), 'first step'))
  const log = await waitFor('the log to show the first step', async () => {
    const shown = await platform.heroku(['logs', '--app', 'building', '--dyno-name', 'build'])
    return /app\[build\]: +first step$/m.test(shown.stdout) && shown
  })
  for (const text of [push.sofar(), stream.text(), log.stdout]) assert.not(has(text, 'second step'))
  await open(build.id)
  const text = await stream.end
  assert.is((await newestBuild('building'))?.status, 'succeeded')
  const { code, output } = await push
  assert.is(code, 0, output)
  assert.ok(has(text, 'second step'))
  assert.match(text, /Verifying deploy\.\.\. done\.\n$/)
  const shown = output
    .split('\n')
    .filter((line) => line.startsWith('remote:'))
    .map((line) => line.replace(/^remote: ?/, '').trimEnd())
  const written = text.split('\n').map((line) => line.trimEnd())
  assert.equal(shown.slice(0, written.length - 1), written.slice(0, -1))
  assert.is(await (await follow(build.output_stream_url)).end, text)
})

test('the stream of a build that fails ends when its status says so', async () => {
  await platform.createApp('failing')
  const push = platform.push(await platform.createSource(nodeApp('hello', `${gated} && false`)), 'failing')
  await waitFor('the first step', () => has(push.sofar(), 'first step'), { within: 90_000 })
  const build = await newestBuild('failing')
  if (!build) throw new Error('there is no build')
  const stream = await follow(build.output_stream_url)
  await open(build.id)
  assert.match(await stream.end, / ! {5}Push failed\n$/)
  assert.is((await newestBuild('failing'))?.status, 'failed')
  assert.is.not((await push).code, 0)
  await waitFor('the log to tell', async () => {
    const { stdout } = await platform.heroku(['logs', '--app', 'failing', '--dyno-name', 'api'])
    return /app\[api\]: Build failed -- check your build output: heroku logs --dyno build$/m.test(stdout)
  })
})

/** It waits until it is let go on. */
const slow = 'echo migrating; until test -e /tmp/go; do sleep 0.1; done; echo migrated'
const letGo = async (app: string) => {
  const container = await waitFor('the release command to run', async () =>
    (await platform.containers(app)).find(
      ({ State, Labels }) => State === 'running' && Labels[typeLabel] === 'release',
    ),
  )
  await touch(container, '/tmp/go')
}

test('a release command is shown while it runs: to git, to its stream and to releases:output', async () => {
  await platform.createApp('migrating')
  const push = platform.push(await platform.createSource(sampleFiles({ web, release: slow })), 'migrating')
  await waitFor('git to show the first line', () => has(push.sofar(), 'migrating'), { within: 60_000 })
  const { status, output_stream_url } = await release('migrating', 2)
  assert.is(status, 'pending')
  const stream = await follow(String(output_stream_url))
  const command = platform.cli(['releases:output', '--app', 'migrating'])
  await waitFor('the stream to show it', () => stream.text().includes('migrating\n'))
  await waitFor('releases:output to show it', () => command.sofar().includes('migrating\n'))
  for (const text of [push.sofar(), stream.text(), command.sofar()]) assert.not.match(text, /migrated/)
  await letGo('migrating')
  assert.is(await stream.end, 'migrating\nmigrated\n')
  assert.is((await release('migrating', 2)).status, 'succeeded')
  assert.is((await command).stdout, 'migrating\nmigrated\n')
  assert.match((await push).output, /^remote: migrated *$/m)
  assert.is(await (await follow(String(output_stream_url))).end, 'migrating\nmigrated\n')
  const again = await platform.heroku(['releases:output', 'v2', '--app', 'migrating'])
  assert.is(again.stdout, 'migrating\nmigrated\n')
})

early(
  'before its command has begun the stream of a release is not found; it ends when the status is final, failed too',
  async () => {
    const source = await platform.createSource(sampleFiles({ web, release: slow }))
    await platform.createApp('waiting')
    const push = platform.push(source, 'waiting')
    await waitFor('the command of v2', () => has(push.sofar(), 'migrating'), { within: 60_000 })
    await platform.api('PATCH', '/apps/waiting/config-vars', { A: '1' })
    const { output_stream_url } = await release('waiting', 3)
    const early = await follow(String(output_stream_url)).catch((error: unknown) => error)
    assert.instance(early, Refusal)
    assert.is((early as Refusal).status, 404)
    await letGo('waiting')
    const stream = await waitFor('the command of v3', () => follow(String(output_stream_url)), { within: 60_000 })
    await letGo('waiting')
    assert.is(await stream.end, 'migrating\nmigrated\n')
    assert.is((await release('waiting', 3)).status, 'succeeded')
    const { code, output } = await push
    assert.is(code, 0, output)
    assert.match(output, /v3, which was made meanwhile, has this code and serves in place of v2/)
    await source.version('v2', { web, release: 'echo broken; sleep 3; exit 1' })
    const bad = platform.push(source, 'waiting')
    await waitFor('the command of v4', () => has(bad.sofar(), 'broken'), { within: 60_000 })
    const failing = await follow(String((await release('waiting', 4)).output_stream_url))
    assert.is(await failing.end, 'broken\n')
    assert.is((await release('waiting', 4)).status, 'failed')
    assert.is.not((await bad).code, 0)
  },
)

test.run()
