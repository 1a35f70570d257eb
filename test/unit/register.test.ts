import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { limits } from '../../daemon/limits.ts'
import { createLog } from '../../daemon/log.ts'
import { type KnownRouter, openRegister } from '../../daemon/route/register.ts'
import { waitFor } from '../e2e/wait.ts'
import { createStillClock } from './still-clock.ts'

const said: string[] = []
const log = createLog((line) => said.push(line))
const one = { id: 'one', host: '', address: '', workers: 1, applied: 1 }

let folder: string
const file = () => join(folder, 'routers.json')
test.before.each(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-register-'))
})
test.after.each(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))

/** What the next daemon would read, once it `holds`. */
const stored = (what: string, holds: (routers: KnownRouter[]) => boolean): Promise<KnownRouter[]> =>
  waitFor(what, async () => {
    const routers: KnownRouter[] = JSON.parse(await readFile(file(), 'utf8'))
    return holds(routers) && routers
  })

test('what changes of a router is on disk soon, and that it was heard once a minute', async () => {
  const clock = createStillClock()
  const register = openRegister(file(), { log, clock })
  register.connected(one, clock.now())
  clock.pass(limits.registerChanged)
  await stored('the router', ([router]) => router?.applied === 1)

  register.heard('one', { applied: 1, now: clock.now() })
  const heard = clock.now()
  for (let second = 1; second < 60; second++) {
    clock.pass(1000)
    register.heard('one', { applied: 1, now: clock.now() })
    assert.is((await stored('the router', () => true))[0]?.lastSeen, 0, 'nothing is written meanwhile')
  }
  clock.pass(1000)
  await stored('the minute', ([router]) => router?.lastSeen === heard + 59_000)

  register.heard('one', { applied: 2, now: clock.now() })
  clock.pass(limits.registerChanged)
  await stored('the table that it follows', ([router]) => router?.applied === 2)
  register.forget('one')
  await register.close()
  assert.equal(await stored('the list', () => true), [])
})

test('a file that is damaged is said, and the list begins anew', async () => {
  await writeFile(file(), '[{"id":1}]')
  assert.equal(openRegister(file(), { log, clock: createStillClock() }).list(), [])
  assert.match(said.join(), /known routers could not be read/)
})

test('the list is bounded: the one that was seen longest ago makes room', () => {
  const register = openRegister(undefined, { log, clock: createStillClock() })
  for (let i = 0; i < limits.knownRouters + 2; i++) register.connected({ ...one, id: `r${i}` }, i)
  const ids = register.list().map(({ id }) => id)
  assert.is(ids.length, limits.knownRouters)
  assert.is(ids[0], 'r2')
})

test.run()
