import { randomUUID } from 'node:crypto'
import { CompiledQuery, type Insertable } from 'kysely'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { record } from '../../daemon/account/activity.ts'
import { createAuthorization } from '../../daemon/account/authorization.ts'
import type { App } from '../../daemon/app/app.ts'
import { systemClock } from '../../daemon/clock.ts'
import { limits } from '../../daemon/limits.ts'
import { needers } from '../../daemon/release/release.ts'
import { forgetOld, startRetention } from '../../daemon/retention.ts'
import { decide } from '../../daemon/store/database.ts'
import type { Schema } from '../../daemon/store/schema.ts'
import { type Host, startHost } from './host.ts'

let host: Host
test.before.each(async () => {
  host = await startHost()
})
test.after.each(() => host.close())

const DAY = 24 * 60 * 60 * 1000
const forget = () => forgetOld(host.d, new AbortController().signal)

async function makeApp(name: string): Promise<App> {
  await host.request('POST', '/apps', { body: { name } })
  return host.d.db.selectFrom('apps').selectAll().where('name', '=', name).executeTakeFirstOrThrow()
}

/** Releases from v2 on, each with what became of it. */
async function release(app: App, states: ('succeeded' | 'failed' | 'waiting')[]): Promise<string[]> {
  const times = { created_at: 1, updated_at: 1 }
  const releases = states.map((_, index): Insertable<Schema['releases']> => {
    const id = randomUUID()
    const rest = { description: 'Test', slug_id: null, account_id: app.owner_id, created_at: 1 }
    return { id, app_id: app.id, version: index + 2, config: host.d.seal.seal('{}', id), ...rest }
  })
  const rollouts = releases.map(({ id, version }, index) => {
    const rest = { state: states[index] ?? 'failed', attended: 0 as const, reason: null, ...times }
    return { release_id: id, app_id: app.id, version, ...rest }
  })
  await decide(host.d.db, async (tx) => {
    for (let from = 0; from < releases.length; from += 500) {
      const part = [from, from + 500] as const
      await tx
        .insertInto('releases')
        .values(releases.slice(...part))
        .execute()
      await tx
        .insertInto('rollouts')
        .values(rollouts.slice(...part))
        .execute()
    }
  })
  return releases.map(({ id }) => id)
}

function build(app: App, index: number, more: Partial<Schema['builds']> = {}): Insertable<Schema['builds']> {
  const made = { id: randomUUID(), app_id: app.id, account_id: app.owner_id, status: 'failed' as const, version: null }
  const rest = { stack: app.stack, buildpacks: '[]', slug_id: null, release_id: null, failure: null }
  return { ...made, ...rest, created_at: index, updated_at: index, ...more } as Insertable<Schema['builds']>
}

test('an app keeps its newest releases, and of the older ones those that something needs', async () => {
  const app = await makeApp('many')
  const other = await makeApp('few')
  const newest = limits.releasesKept + 250
  const ids = await release(
    app,
    Array.from({ length: newest - 1 }, (_, index) =>
      index + 2 === 10 ? 'succeeded' : index + 2 === 12 ? 'waiting' : 'failed',
    ),
  )
  const idOf = (version: number) => ids[version - 2] ?? ''
  await host.d.db
    .insertInto('dynos')
    .values({
      ...{
        id: randomUUID(),
        app_id: app.id,
        release_id: idOf(5),
        type: 'web',
        ordinal: 1,
        size: 'Basic',
        command: 'x',
      },
      ...{
        state: 'up',
        replace: 0,
        crashes: 0,
        retry_at: null,
        exit_code: null,
        address: null,
        port: 1,
        one_off: null,
      },
      ...{ created_at: 1, updated_at: 1 },
    })
    .execute()
  await host.d.db
    .insertInto('builds')
    .values(build(app, 1, { release_id: idOf(6) } as Partial<Schema['builds']>))
    .execute()
  for (const version of [5, 7]) await (await host.d.transcripts.open(`release-${idOf(version)}`)).end()
  await forget()
  const left = await host.d.db
    .selectFrom('releases')
    .select('version')
    .where('app_id', '=', app.id)
    .orderBy('version')
    .execute()
  const versions = left.map(({ version }) => version)
  assert.equal(versions.slice(0, 4), [5, 6, 10, 12], 'of a dyno, of a build, the serving one, one on its way')
  assert.is(versions[4], 251)
  assert.is(versions.length, 4 + limits.releasesKept)
  assert.equal(
    [await host.d.transcripts.has(`release-${idOf(5)}`), await host.d.transcripts.has(`release-${idOf(7)}`)],
    [true, false],
  )
  assert.is((await host.request('GET', '/apps/few/releases/1')).status, 200, other.name)
  await host.request('PATCH', '/apps/many/config-vars', { body: { A: '1' } })
  const { json } = await host.request('GET', '/apps/many/releases', {
    headers: { range: 'version ..; order=desc,max=1' },
  })
  assert.is(json[0].version, newest + 1, 'numbers go on')
})

test('what may need a release is what has a foreign key to it', async () => {
  const query = async <T>(sql: string) => (await host.d.db.executeQuery<T>(CompiledQuery.raw(sql))).rows
  const found: string[] = []
  for (const { name } of await query<{ name: string }>(`SELECT name FROM sqlite_schema WHERE type = 'table'`))
    for (const key of await query<{ table: string; on_delete: string }>(`PRAGMA foreign_key_list(${name})`))
      if (key.table === 'releases' && key.on_delete === 'NO ACTION') found.push(name)
  assert.equal(found.sort(), [...needers].sort())
})

test('an app keeps its newest builds; older ones go with their output, but for one that is still going on', async () => {
  const app = await makeApp('builds')
  const rows = Array.from({ length: limits.buildsKept + 230 }, (_, index) => build(app, index))
  rows[3] = build(app, 3, { status: 'pending' } as Partial<Schema['builds']>)
  await host.d.db.insertInto('builds').values(rows).execute()
  await (await host.d.transcripts.open(`build-${rows[0]?.id}`)).end()
  await forget()
  const left = await host.d.db.selectFrom('builds').select(['id', 'created_at']).orderBy('created_at').execute()
  assert.is(left.length, limits.buildsKept + 1)
  assert.equal([left[0]?.id, left[1]?.created_at], [rows[3]?.id, 230])
  assert.not(await host.d.transcripts.has(`build-${rows[0]?.id}`))
})

test('tokens go a week after their end, but for those that a client refreshes; activities after a year', async () => {
  const { account, token } = await host.invite('someone@example.com')
  const now = Date.now()
  const make = (expiresIn: number) =>
    createAuthorization(host.d.db, account, { description: 'x', scope: ['global'], expiresIn, now: now - 30 * DAY })
  const { authorization: refreshed } = await make(60)
  await host.d.db.updateTable('authorizations').set({ refresh_hash: 'r' }).where('id', '=', refreshed.id).execute()
  for (let count = 0; count < 250; count++) await make(60)
  const recent = await make((24 * DAY) / 1000)
  for (const age of [366, 364])
    await record(host.d.db, account, { app: null, text: `${age} days`, now: now - age * DAY })
  await forget()
  const ids = await host.d.db.selectFrom('authorizations').select('id').where('account_id', '=', account.id).execute()
  assert.is(ids.length, 3, 'that of the account, one that ended six days ago, and one that is refreshed')
  assert.ok(ids.some(({ id }) => id === refreshed.id))
  assert.ok(ids.some(({ id }) => id === recent.authorization.id))
  assert.is((await host.request('GET', '/account', { token })).status, 200)
  const { text } = await host.d.db
    .selectFrom('activities')
    .select('text')
    .orderBy('created_at')
    .executeTakeFirstOrThrow()
  assert.is(text, '364 days')
})

test('it looks at start and every day, and a close ends it', async () => {
  const { account } = await host.invite('daily@example.com')
  const alarms: { at: number; wake: () => void }[] = []
  let now = Date.now()
  host.d.clock = {
    now: () => now,
    at(at, wake) {
      alarms.push({ at, wake })
      return () => void alarms.splice(0)
    },
  }
  const old = () => record(host.d.db, account, { app: null, text: 'old', now: now - 400 * DAY })
  const count = async () =>
    (await host.d.db.selectFrom('activities').select('id').where('text', '=', 'old').execute()).length
  const gone = async () => {
    while ((await count()) > 0 || alarms.length === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  await old()
  const retention = startRetention(host.d)
  await gone()
  const alarm = alarms.shift()
  assert.is(alarm?.at, now + DAY)
  now += DAY
  await old()
  alarm?.wake()
  await gone()
  await retention.close()
  assert.is(alarms.length, 0)
  host.d.clock = systemClock
})

test('a rule that fails is told, and the others do their work', async () => {
  const app = await makeApp('broken')
  const { account } = await host.invite('x@example.com')
  await record(host.d.db, account, { app: null, text: 'old', now: 0 })
  const rows = Array.from({ length: limits.buildsKept + 1 }, (_, index) => build(app, index))
  await host.d.db.insertInto('builds').values(rows).execute()
  host.d.transcripts.remove = () => Promise.reject(new Error('the disk is gone'))
  await forget()
  assert.ok(host.logged.some((line) => line.includes('"what":"builds"') && line.includes('the disk is gone')))
  assert.equal(await host.d.db.selectFrom('activities').select('id').where('text', '=', 'old').execute(), [])
})

test.run()
