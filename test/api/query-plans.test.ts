import { CompiledQuery as Compiled, type CompiledQuery, type QueryId, SqliteQueryCompiler } from 'kysely'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { allRoutes } from '../../daemon/route/routes.ts'
import type { Db } from '../../daemon/store/database.ts'
import { type Host, startHost } from './host.ts'

let host: Host
let db: Db
const asked: CompiledQuery[] = []
test.before(async () => {
  host = await startHost()
  db = host.d.db
  const compiler = new SqliteQueryCompiler()
  host.d.db = db.withPlugin({
    transformQuery({ node, queryId }) {
      asked.push(compiler.compileQuery(node, queryId as QueryId))
      return node
    },
    transformResult: async ({ result }) => result,
  })
})
test.after(() => host.close())

/** Tables that hold more the longer an app lives, or the more apps there are. */
const growing =
  /^SCAN (?:releases|rollouts|newest|slugs|builds|dynos|activities|domains|collaborators|authorizations|accounts)\b/

/** What SQLite says that it looks through from end to end. */
async function scans(): Promise<string[]> {
  assert.ok(asked.length > 0, 'no query was seen')
  const found: string[] = []
  for (const { sql, parameters } of asked.splice(0)) {
    const plan = await db.executeQuery<{ detail: string }>(Compiled.raw(`EXPLAIN QUERY PLAN ${sql}`, [...parameters]))
    for (const { detail } of plan.rows) if (growing.test(detail)) found.push(`${detail} in ${sql}`)
  }
  return found
}

test('the GETs that are asked most look at no more rows when there are more apps and releases', async () => {
  const { account, token } = await host.invite('plans@example.com')
  const { json: app } = await host.request('POST', '/apps', { token, body: { name: 'plans' } })
  const row = await host.d.db.selectFrom('apps').selectAll().where('id', '=', app.id).executeTakeFirstOrThrow()
  await host.deploy(row, { web: 'node .', release: 'true' })
  const build = { id: app.id, app_id: app.id, account_id: account.id, status: 'succeeded' as const, version: null }
  const times = { created_at: 1, updated_at: 1 }
  await db
    .insertInto('builds')
    .values({ ...build, stack: 's', buildpacks: '[]', slug_id: null, release_id: null, failure: null, ...times })
    .execute()
  asked.splice(0)
  for (const [path, range] of [
    ['/account'],
    ['/apps'],
    ['/users/~/apps'],
    ['/apps/plans'],
    ['/apps/plans/config-vars'],
    ['/apps/plans/releases', 'version ..; order=desc,max=1'],
    ['/apps/plans/releases/2'],
    [`/apps/plans/releases/${app.id}`],
    ['/apps/plans/formation'],
    ['/apps/plans/dynos'],
    ['/apps/plans/domains', 'id ..; max=1000;'],
    ['/apps/plans/builds', 'created_at ..; max=15, order=desc'],
    [`/apps/plans/builds/${app.id}`],
    ['/apps/plans/collaborators'],
    ['/oauth/authorizations'],
  ] as const)
    for (const who of [host.token, token]) {
      const { status } = await host.request('GET', path, { token: who, headers: range ? { range } : {} })
      assert.ok(status < 300 || path.includes('releases/') || path.includes('authorizations'), `${path}: ${status}`)
      assert.equal(await scans(), [], path)
    }
})

test('a change of config vars and a table for routers read no release that was superseded', async () => {
  await host.request('PATCH', '/apps/plans/config-vars', { body: { A: '1' } })
  assert.equal(await scans(), [])
  const { id } = await db.selectFrom('apps').select('id').where('name', '=', 'plans').executeTakeFirstOrThrow()
  await allRoutes(host.d.db, 'localhost', [id])
  assert.equal(await scans(), [])
  await allRoutes(host.d.db, 'localhost')
  const whole = (await scans()).filter((plan) => !/^SCAN (?:dynos|domains)\b/.test(plan))
  assert.equal(whole, [])
})

test.run()
