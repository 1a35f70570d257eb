import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Failpoint, failpoints } from '../../daemon/failpoint.ts'
import { openFailpoints } from './failpoint.ts'
import { describe, startLoad } from './load.ts'
import { startPlatform } from './platform.ts'
import { waitFor } from './wait.ts'

const points = await openFailpoints()
const platform = await startPlatform(points.settings)
test.after(async () => {
  await platform.stop()
  await points.close()
})

const app = 'struck'
let version = 1
const source = await platform.prepare(() => platform.deploy(app))

/** Deploys until the daemon is killed at the step, starts it again, and looks whether one release serves and the next push goes through. */
async function killedAt(name: Failpoint): Promise<void> {
  const load = startLoad(platform.ports.http, `${app}.localhost`)
  await points.arm(name, 'kill')
  await source.version(`v${++version}`)
  const push = platform.push(source, app)
  await points.struck(name)
  await waitFor('the daemon to be dead', () => !platform.daemon.running)
  await platform.startDaemon()
  assert.is.not((await push).code, 0)
  await waitFor('one release that serves and one container', async () => {
    const [releases, dynos, containers] = await Promise.all([
      platform.releases(app),
      platform.dynos(app),
      platform.containers(app),
    ])
    const current = releases.filter(({ current }) => current)
    return (
      releases.every(({ status }) => status !== 'pending') &&
      current.length === 1 &&
      dynos.length === 1 &&
      dynos[0]?.release.version === current[0]?.version &&
      containers.length === 1
    )
  })
  const result = await load.stop()
  assert.is(result.failures.length, 0, describe(result))
  const { code, output } = await platform.push(source, app)
  assert.is(code, 0, output)
}

for (const name of Object.keys(failpoints) as Failpoint[])
  test(`the daemon is killed at ${name} of a deploy`, () => killedAt(name))

test.run()
