import { readFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { DynoSpec } from '../../daemon/engine/engine.ts'
import { listContainers } from '../e2e/engine.ts'
import { openOwnEngine } from '../e2e/own-engine.ts'
import { waitFor } from '../e2e/wait.ts'
import { createDockerRig } from '../engine/docker-rig.ts'
import { appOf } from '../engine/rig.ts'

/** An engine is killed between the start of a process and its record of it. */
const machine = await openOwnEngine()
const rig = await createDockerRig(3)
test.after(async () => {
  if (!(await machine.answers())) await machine.start()
  await rig.close()
})
const engine = rig.engine()

const TRIES = 30
const DELAYS = 4

/** Of the containers that the engine holds for never started, with those that run in them all the same. */
async function ghosts(): Promise<[string, number[]][]> {
  const made = (await listContainers(rig.installation)).filter(({ State }) => State === 'created').map(({ Id }) => Id)
  return [...(await machine.processes())].filter(([container]) => made.includes(container))
}

/** Starts a dyno and kills the engine some milliseconds after its network is there: a ghost comes of it nearly always, but not of each delay everywhere. */
async function startAndKill(spec: DynoSpec, time: number): Promise<void> {
  const started = engine.start(spec).catch(() => {})
  await waitFor('its network', () => hasNetwork(), { every: 1 })
  await pause((time % DELAYS) * 8)
  await machine.kill()
  await started
  await machine.start()
}

async function hasNetwork(): Promise<boolean> {
  for (const [pid] of (await machine.processes()).values())
    if ((await readFile(`/proc/${pid}/net/dev`, 'utf8').catch(() => '')).includes('eth0')) return true
  return false
}

test("what runs in a container that the engine holds for never started ends with it, and its address is the next one's alone", async () => {
  const { id, spec } = appOf(rig)
  const dyno = spec('echo ready; exec sleep 600')
  for (let n = 0; (await ghosts()).length === 0; n++) {
    assert.ok(n < TRIES, 'no ghost came of it')
    await engine.stop(dyno.id, 0)
    await startAndKill(dyno, n + 1)
  }
  await engine.stop(dyno.id, 0)
  assert.equal([...(await machine.processes())], [])
  const placed = await engine.start(dyno)
  assert.ok(placed.address)
  assert.is((await machine.processes()).size, 1)
  await engine.stop(dyno.id, 0)
  await engine.removeApp(id)
  assert.equal(await rig.leftovers(), [])
})

test('a sweep ends it too', async () => {
  const { id, spec } = appOf(rig)
  for (let n = 0; (await ghosts()).length === 0; n++) {
    assert.ok(n < TRIES, 'no ghost came of it')
    await engine.removeApp(id)
    await startAndKill(spec('echo ready; exec sleep 600'), n + 1)
  }
  await rig.engine().sweepBuilds()
  assert.equal([...(await machine.processes())], [])
  await engine.removeApp(id)
  assert.equal(await rig.leftovers(), [])
})

test.run()
