import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { openFailpoints } from './failpoint.ts'
import { startLoad, underLoad } from './load.ts'
import { eachOperation } from './operation-each.ts'
import { openOwnEngine } from './own-engine.ts'
import { startPlatform } from './platform.ts'
import { eachStep, type StrikeAtStep } from './steps.ts'
import { whole } from './whole.ts'

/** The engine is killed while the daemon stands at each step of what releases or erases, and is not back when that goes on. */
const engine = await openOwnEngine()
const points = await openFailpoints()
const platform = await startPlatform(points.settings)
test.after(async () => {
  // whatever has failed here
  if (!(await engine.answers())) await engine.start()
  await platform.stop()
  await points.close()
})

/** Requests a second, beside all that starts and ends. */
const RATE = 20
const app = 'engineless'
const operations = await platform.prepare(() => eachOperation(platform, app))
const stage = {
  platform,
  points,
  // an engine that was killed may count a volume's mounts wrong until it starts again (daemon/engine/volume.ts)
  except: /^the volume \S+ is nobody's$/,
  words: /The Docker engine .*\./,
}

const kill: StrikeAtStep = async (_, goOn) => {
  await engine.kill()
  await goOn()
  await engine.start()
}

const AT_ONCE = 6

/** Each process of a container is of one that the engine knows. */
async function noGhosts(): Promise<void> {
  const known = (await platform.containers()).map(({ Id }) => Id)
  for (const [container, processes] of await engine.processes())
    assert.ok(known.includes(container), `${processes} run in a container that nobody knows`)
}

const struck = eachStep(stage)

for (const performed of operations)
  test(`an engine that is killed at each step of ${performed.name} fails no request: what was begun ends, or is undone and says why`, () =>
    underLoad({ [app]: startLoad(platform.ports.http, `${app}.localhost`, undefined, RATE) }, () =>
      struck(performed, { at: kill, atOnce: AT_ONCE }).then(noGhosts),
    ))

test('the next start of engine and daemon leaves nothing of what the dead engine counted wrong', async () => {
  await platform.daemon.kill()
  await engine.kill()
  await engine.start()
  await platform.startDaemon()
  await whole(platform)
})

test.run()
