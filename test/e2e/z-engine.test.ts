import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { call } from './engine.ts'
import { describe, startLoad } from './load.ts'
import { startPlatform } from './platform.ts'
import { waitFor } from './wait.ts'

/** Kills the engine that the other files share, and has it started again by the set-up script. */
const platform = await startPlatform()
test.after(() => platform.stop())

const app = 'engineless'
await platform.prepare(() => platform.deploy(app))

const running = async () => (await platform.containers()).filter(({ State }) => State === 'running').map(({ Id }) => Id)
const engineAnswers = () =>
  call('GET', '/version').then(
    () => true,
    () => false,
  )

test('an engine that is killed takes no app with it, and the platform goes on when it is back', async () => {
  const before = await running()
  const load = startLoad(platform.ports.http, `${app}.localhost`)
  process.kill(await enginePid(), 'SIGKILL')
  await waitFor('the engine to be gone', async () => !(await engineAnswers()))
  const sent = load.sent()
  await waitFor('a hundred requests without an engine', () => load.sent() >= sent + 100)
  await promisify(execFile)('bash', ['systemd/setup.sh', '--for=test'])
  await waitFor('the engine to be back', engineAnswers, { within: 60_000 })
  assert.equal(await running(), before, 'the containers are others than before')
  const result = await load.stop()
  assert.is(result.failures.length, 0, describe(result))
})

test('a release goes live on an engine that was killed', async () => {
  await platform.api('PATCH', `/apps/${app}/config-vars`, { AFTER: '1' })
  const version = (await platform.releases(app)).length
  assert.is((await platform.settled(app, version)).status, 'succeeded')
  assert.is(JSON.parse((await platform.request(app, '/env')).body).AFTER, '1')
  await waitFor('one container', async () => (await running()).length === 1, { within: 40_000 })
})

/** The engine's own pid file: other engines may run on the same machine, for other users or tests. */
const enginePid = async (): Promise<number> => Number(await readFile('/var/run/docker.pid', 'utf8'))

test.run()
