import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { RouterState } from '../../daemon/route/routers.ts'
import { startTeam } from './team-rig.ts'

const main = join(import.meta.dirname, '..', '..', 'cli', 'main.js')
const { host, ann, ask, good, refused } = await startTeam()
test.after(() => host.close())

const known = (id: string, state: RouterState['state']): RouterState => ({
  ...{ id, state, host: 'edge', address: '192.0.2.1', workers: 2, applied: 7, behind: 1 },
  ...{ firstSeen: 0, lastSeen: 1000 },
})
const routers = [known('one', 'connected'), known('two', 'awaited')]
host.d.routers.list = () => routers
host.d.routers.forget = (id) => {
  const at = routers.findIndex((router) => router.id === id)
  if (at === -1) return 'unknown'
  if (routers[at]?.state === 'connected') return 'connected'
  routers.splice(at, 1)
  return 'forgotten'
}

test('an administrator sees the routers, and forgets one that is gone', async () => {
  const list = await good('GET', '/sluice/routers')
  assert.equal(
    list.map(({ id, state }: RouterState) => `${id} ${state}`),
    ['one connected', 'two awaited'],
  )
  assert.equal(list[0], {
    ...{ id: 'one', host: 'edge', address: '192.0.2.1', state: 'connected', workers: 2, applied_version: 7, behind: 1 },
    ...{ first_seen_at: '1970-01-01T00:00:00.000Z', last_seen_at: '1970-01-01T00:00:01.000Z' },
  })
  await refused(ask('DELETE', '/sluice/routers/one'), 409, /connected\. Stop it first/)
  await refused(ask('DELETE', '/sluice/routers/three'), 404, /Couldn't find that router/)
  assert.is((await good('DELETE', '/sluice/routers/two')).id, 'two')
  assert.is((await good('GET', '/sluice/routers')).length, 1)
})

test('the sluice command shows them, and forgets one', async () => {
  routers.push(known('three', 'lost'), known('four', 'awaited'))
  const sluice = (...args: string[]) =>
    new Promise<string>((resolve) => {
      const env = { ...process.env, SLUICE_PORT: new URL(host.url).port, SLUICE_ADMIN_TOKEN: host.token }
      execFile(process.execPath, [main, 'routers', ...args], { env }, (_, out, err) => resolve(out + err))
    })
  assert.is(
    await sluice(),
    [
      'id     host  address    state                                   table        workers\n',
      'one    edge  192.0.2.1  connected                               7, 1 behind        2\n',
      'three  edge  192.0.2.1  lost since 1970-01-01T00:00:01.000Z     7, 1 behind        2\n',
      'four   edge  192.0.2.1  awaited since 1970-01-01T00:00:01.000Z  7, 1 behind        2\n',
    ].join(''),
  )
  assert.is(await sluice('--forget', 'three'), 'The router three (edge) is forgotten.\n')
  assert.match(await sluice('--forget', 'one'), /^ › {3}Error: That router is connected\. Stop it first/)
  assert.match(await sluice('--all'), /^ › {3}Error: Nonexistent flag: --all/)
})

test('nobody else sees them', async () => {
  await refused(ask('GET', '/sluice/routers', undefined, ann), 403, /Only an administrator/)
  await refused(ask('DELETE', '/sluice/routers/one', undefined, ann), 403, /Only an administrator/)
})

test.run()
