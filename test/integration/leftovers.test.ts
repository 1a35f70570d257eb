import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { takeBerth } from '../e2e/berth.ts'
import { call, installationLabel } from '../e2e/engine.ts'
import { leftBehind, newInstallation, removeInstallation } from '../e2e/installation.ts'
import { groupsLeft, inGroups, removeGroups } from '../host/groups.ts'
import { cleared, clearHost } from '../leftovers.ts'

/** What the runner does about things that a test leaves in the engine. */
const subnet = '10.105.0.0/26'
const gone = spawnSync('true').pid
const outcome = { passed: 3, failed: 0, skipped: 0, problem: undefined, output: '', ms: 1, pid: gone }
const installationOf = (pid: number): string => newInstallation().replace(/\d+$/, String(pid))

const makeNetwork = (installation: string, name: string, given = subnet) =>
  call('POST', '/networks/create', {
    Name: name,
    IPAM: { Driver: 'default', Config: [{ Subnet: given }] },
    Labels: { [installationLabel]: installation },
  })

test('a file that leaves a network and a volume fails, and they are removed', async () => {
  const installation = installationOf(gone)
  await makeNetwork(installation, 'sluice-test-left')
  await call('POST', '/volumes/create', { Name: 'sluice-test-left', Labels: { [installationLabel]: installation } })
  const { failed, problem } = await cleared(outcome)
  assert.is(failed, 1)
  assert.is(problem, 'left in the engine: network sluice-test-left, volume sluice-test-left')
  assert.equal(await leftBehind(gone), [])
  assert.equal(await cleared(outcome), outcome)
})

test('what belongs to a process that lives, or to a platform of a developer, is nobody’s leftover', async () => {
  const mine = newInstallation()
  const demo = 'b5c0f8a4-5d53-4b66-8f6f-2f2f4bb7a1aa'
  await makeNetwork(mine, 'sluice-test-mine')
  await makeNetwork(demo, 'sluice-test-demo', '10.105.0.64/26')
  try {
    assert.equal(await leftBehind(process.pid), [])
    assert.not((await leftBehind()).some(({ name }) => /sluice-test-(mine|demo)/.test(name)))
  } finally {
    await removeInstallation(mine)
    await removeInstallation(demo)
  }
})

test('two berths have ports and networks of their own, and a network in one is found before it is left', async () => {
  const installation = newInstallation()
  const [one, other] = await Promise.all([takeBerth(installation), takeBerth(installation)])
  assert.is.not(one.pool, other.pool)
  assert.is(new Set([...Object.values(one.ports), ...Object.values(other.ports)]).size, 6)
  await makeNetwork(installation, 'sluice-test-late', one.pool.replace('.0.0/16', '.7.0/26'))
  let asked = 0
  await one.leave(async () => {
    asked++
    return asked === 1 || removeInstallation(installation)
  })
  assert.is(asked, 2)
  await other.leave(async () => true)
  assert.equal(await leftBehind(process.pid), [])
})

test('a berth is left although the engine holds on to a network in it', async () => {
  const installation = newInstallation()
  const berth = await takeBerth(installation)
  await makeNetwork(installation, 'sluice-test-held', berth.pool.replace('.0.0/16', '.7.0/26'))
  await berth.leave(async () => false)
  assert.is(await removeInstallation(installation), true)
})

test('folders and control groups of machines whose tests are gone are removed, and nobody else’s', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-leftovers-'))
  const left = [`sluice-shelf-${gone}-aB3x_9`, `sluice-hub-${gone}-aaaaaa`, `sluice-test-${gone}-0Zz000`]
  const others = [`sluice-shelf-${process.pid}-aaaaaa`, 'sluice-shelf-aaaaaa', `shelf-${gone}-aaaaaa`]
  for (const name of [...left, ...others]) {
    await mkdir(join(folder, name))
    await writeFile(join(folder, name, 'release'), '')
  }
  const [ended, mine] = [gone, process.pid].map((pid) => `sluice-host-0e5fd3a1-test-${pid}`)
  await inGroups(`mkdir -p ${ended}/system.slice ${mine}`)
  try {
    await clearHost([join(folder, 'missing'), folder])
    assert.equal(
      [...left, ...others].filter((name) => existsSync(join(folder, name))),
      others,
    )
    const groups = await groupsLeft()
    assert.not(groups.includes(ended ?? ''))
    assert.ok(groups.includes(mine ?? ''))
  } finally {
    await rm(folder, { recursive: true })
    await removeGroups(mine ?? '')
  }
})

test.run()
