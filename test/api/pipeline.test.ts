import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Host, startHost } from './host.ts'

let host: Host
let other: string
test.before(async () => {
  host = await startHost()
  other = (await host.invite('other@example.com')).token
})
test.after(() => host.close())

const get = (path: string, token?: string) => host.request('GET', path, token === undefined ? {} : { token })
const send = (method: string, path: string, body?: unknown, token?: string) =>
  host.request(method, path, { body, ...(token === undefined ? {} : { token }) })
const newApp = async (name: string, token?: string) => (await send('POST', '/apps', { name }, token)).json
const newPipeline = async (name: string, token?: string) => (await send('POST', '/pipelines', { name }, token)).json
const couple = (app: string, pipeline: string, stage: string, token?: string) =>
  send('POST', '/pipeline-couplings', { app, pipeline, stage }, token)

test('a pipeline is made, found by name and id, renamed and destroyed', async () => {
  const made = await send('POST', '/pipelines', { name: 'first', generation: { name: 'cedar' } })
  assert.is(made.status, 201)
  assert.is(made.json.owner.type, 'user')
  assert.is((await get('/pipelines/first')).json.id, made.json.id)
  assert.is((await send('PATCH', `/pipelines/${made.json.id}`, { name: 'renamed' })).json.name, 'renamed')
  assert.equal(
    (await get('/pipelines?eq[name]=renamed')).json.map(({ id }: { id: string }) => id),
    [made.json.id],
  )
  assert.equal((await get('/pipelines?eq[name]=first')).json, [])
  assert.is((await send('DELETE', `/pipelines/${made.json.id}`, { name: 'renamed' })).status, 200)
  const gone = await get('/pipelines/renamed')
  assert.equal([gone.status, gone.json.resource], [404, 'pipeline'])
})

test('a pipeline’s name follows Heroku’s rule and is taken once', async () => {
  await newPipeline('taken')
  assert.is((await send('POST', '/pipelines', { name: 'taken' })).json.message, 'Name taken is already taken')
  assert.is((await send('POST', '/pipelines', { name: 'taken' }, other)).status, 422)
  for (const name of ['ab', 'Upper', '1st', 'a'.repeat(31), 'under_score', '01234567-89ab-cdef-0123-456789abcdef'])
    assert.is((await send('POST', '/pipelines', { name })).status, 422, name)
  const both = await Promise.all([1, 2].map(() => send('POST', '/pipelines', { name: 'at-once' })))
  assert.equal(both.map(({ status }) => status).sort(), [201, 422])
})

test('a pipeline is seen by its owner, the administrator and who sees one of its apps; only owners change it', async () => {
  const mine = await newPipeline('of-other', other)
  const admins = await newPipeline('of-admin')
  assert.is((await get('/pipelines/of-other')).status, 200)
  assert.is((await get('/pipelines/of-admin', other)).status, 404)
  assert.equal(
    (await get('/pipelines', other)).json.map(({ name }: { name: string }) => name),
    ['of-other'],
  )
  await newApp('shared-app')
  await couple('shared-app', 'of-admin', 'staging')
  await send('POST', '/apps/shared-app/collaborators', { user: 'other@example.com' })
  assert.is((await get('/pipelines/of-admin', other)).json.id, admins.id)
  for (const [method, path, body] of [
    ['PATCH', `/pipelines/${admins.id}`, { name: 'stolen' }],
    ['DELETE', `/pipelines/${admins.id}`, {}],
    ['POST', '/pipeline-transfers', { pipeline: { id: admins.id }, new_owner: mine.owner }],
  ] as const)
    assert.is((await send(method, path, body, other)).status, 403, `${method} ${path}`)
})

test('a pipeline is transferred to another user, not to somebody who is not here', async () => {
  const pipeline = await newPipeline('to-give')
  const { id } = (await get('/users/~', other)).json
  const nobody = { id: pipeline.id, type: 'user' }
  const body = { pipeline: { id: pipeline.id }, new_owner: nobody }
  assert.is((await send('POST', '/pipeline-transfers', body)).status, 422)
  assert.is((await send('POST', '/pipeline-transfers', { ...body, new_owner: { id, type: 'team' } })).status, 422)
  const given = await send('POST', '/pipeline-transfers', { ...body, new_owner: { id, type: 'user' } })
  assert.equal(given.json.new_owner, { id, type: 'user' })
  assert.equal(given.json.previous_owner, pipeline.owner)
  assert.is((await send('PATCH', `/pipelines/${pipeline.id}`, { name: 'now-mine' }, other)).status, 200)
})

test('a pipeline that is transferred takes the apps of its owner along: to the team at once, to an account as an offer', async () => {
  const [team] = (await get('/teams')).json
  await newPipeline('moving')
  for (const app of ['moving-a', 'moving-b']) {
    await newApp(app)
    await couple(app, 'moving', 'staging')
  }
  await newApp('moving-c', other)
  await send('POST', '/apps/moving-c/collaborators', { user: 'admin@example.com' }, other)
  await couple('moving-c', 'moving', 'staging')
  const owners = () => Promise.all(['a', 'b', 'c'].map(async (n) => (await get(`/apps/moving-${n}`)).json.owner.email))
  const { id } = (await get('/pipelines/moving')).json
  const move = (owner: object) => send('POST', '/pipeline-transfers', { pipeline: { id }, new_owner: owner })
  assert.is((await move({ id: team.id, type: 'team' })).status, 201)
  const [a, b, c] = await owners()
  assert.equal([a, b, c], [`${team.name}@herokumanager.com`, a, 'other@example.com'])
  await newApp('offered-app')
  await newPipeline('offering')
  await couple('offered-app', 'offering', 'staging')
  const to = { id: (await get('/users/~', other)).json.id, type: 'user' }
  const offering = { id: (await get('/pipelines/offering')).json.id }
  assert.is((await send('POST', '/pipeline-transfers', { pipeline: offering, new_owner: to })).status, 201)
  const [offer] = (await get('/account/app-transfers', other)).json
  assert.equal([offer.app.name, offer.state], ['offered-app', 'pending'])
  // As after a crash between the offers and the change of the pipeline's owner.
  const { owner_id } = await host.d.db
    .selectFrom('apps')
    .selectAll()
    .where('name', '=', 'offered-app')
    .executeTakeFirstOrThrow()
  await host.d.db.updateTable('pipelines').set({ owner_id }).where('id', '=', offering.id).execute()
  assert.is((await send('POST', '/pipeline-transfers', { pipeline: offering, new_owner: to })).status, 201)
})

test('a pipeline of the team is seen by all, and changed by admins', async () => {
  const [team] = (await get('/teams')).json
  const owner = { id: team.id, type: 'team' }
  assert.is((await send('POST', '/pipelines', { name: 'of-team', owner: { ...owner, type: 'user' } })).status, 422)
  const made = await send('POST', '/pipelines', { name: 'of-team', owner }, other)
  assert.equal([made.status, made.json.owner], [201, owner])
  assert.is((await get('/pipelines/of-team', other)).status, 200)
  assert.is((await send('PATCH', `/pipelines/${made.json.id}`, { name: 'renamed-one' }, other)).status, 403)
  assert.is((await send('PATCH', `/pipelines/${made.json.id}`, { name: 'renamed-one' })).status, 200)
  await newApp('app-of-other', other)
  const coupling = (await couple('app-of-other', 'renamed-one', 'staging', other)).json
  const listed = await get(`/teams/${team.name}/pipeline-couplings`)
  assert.ok(listed.json.some(({ id }: { id: string }) => id === coupling.id))
  assert.not.ok(listed.json.some(({ pipeline }: { pipeline: { name: string } }) => pipeline.name === 'of-admin'))
})

test('who may deploy to none of a pipeline’s apps does not become a member by adding an app', async () => {
  const [team] = (await get('/teams')).json
  const owner = { id: team.id, type: 'team' }
  for (const name of ['guarded', 'secretive']) await send('POST', '/pipelines', { name, owner })
  await send('POST', '/teams/apps', { name: 'guarded-app', team: team.name })
  await couple('guarded-app', 'guarded', 'staging')
  await send('PATCH', '/pipelines/secretive/stage/review/config-vars', { KEY: 'secret' })
  await newApp('a-foot-in', other)
  for (const pipeline of ['guarded', 'secretive']) {
    assert.is((await get(`/pipelines/${pipeline}`, other)).status, 200)
    const refused = await couple('a-foot-in', pipeline, 'staging', other)
    assert.equal([refused.status, refused.json.id], [403, 'forbidden'], pipeline)
    assert.is((await get(`/pipelines/${pipeline}/stage/review/config-vars`, other)).status, 403)
  }
  await send('POST', '/teams/apps/guarded-app/collaborators', { user: 'other@example.com', permissions: ['deploy'] })
  assert.is((await couple('a-foot-in', 'guarded', 'staging', other)).status, 201)
})

test('the couplings of a user are those of that user’s apps, also for the administrator', async () => {
  await newPipeline('of-users')
  await newApp('of-users-admin')
  await couple('of-users-admin', 'of-users', 'staging')
  const names = async (path: string) =>
    (await get(path)).json.map(({ app }: { app: { name: string } }) => app.name) as string[]
  assert.ok((await names('/users/~/pipeline-couplings')).includes('of-users-admin'))
  const others = await names('/users/other@example.com/pipeline-couplings')
  assert.equal([others.includes('a-foot-in'), others.includes('of-users-admin')], [true, false])
})

test('a coupling puts an app into one pipeline; it is moved, listed everywhere, and removed', async () => {
  const app = await newApp('coupled')
  const pipeline = await newPipeline('coupling')
  const made = await couple('coupled', pipeline.id, 'staging')
  assert.is(made.status, 201)
  assert.equal(made.json.app, { id: app.id, name: 'coupled' })
  assert.equal(made.json.pipeline, { id: pipeline.id, name: 'coupling' })
  await newPipeline('second-one')
  assert.match((await couple('coupled', 'second-one', 'staging')).json.message, 'already in the pipeline coupling')
  assert.match((await couple('coupled', 'coupling', 'nowhere')).json.message, 'no stage nowhere')
  const path = `/pipeline-couplings/${made.json.id}`
  assert.is((await send('PATCH', path, { stage: 'production' })).json.stage, 'production')
  for (const list of [
    `/pipelines/${pipeline.id}/pipeline-couplings`,
    '/users/~/pipeline-couplings',
    '/pipeline-couplings',
  ])
    assert.ok(
      (await get(list)).json.some(
        ({ id, stage }: { id: string; stage: string }) => id === made.json.id && stage === 'production',
      ),
      list,
    )
  assert.is((await get('/apps/coupled/pipeline-couplings')).json.id, made.json.id)
  assert.is((await get(path)).json.stage, 'production')
  assert.is((await send('DELETE', path)).status, 200)
  const gone = await get('/apps/coupled/pipeline-couplings')
  assert.equal([gone.status, gone.json.resource], [404, 'pipeline_coupling'])
  assert.is((await get('/teams/nobody/pipeline-couplings')).status, 404)
})

test('a coupling goes with its app, and with its pipeline', async () => {
  await newApp('short-lived')
  await newApp('long-lived')
  const pipeline = await newPipeline('with-both')
  await couple('short-lived', pipeline.id, 'staging')
  await couple('long-lived', pipeline.id, 'production')
  await send('DELETE', '/apps/short-lived')
  const left = (await get(`/pipelines/${pipeline.id}/pipeline-couplings`)).json
  assert.equal(
    left.map(({ stage }: { stage: string }) => stage),
    ['production'],
  )
  await send('DELETE', `/pipelines/${pipeline.id}`)
  assert.is((await get('/apps/long-lived/pipeline-couplings')).status, 404)
  assert.is((await get('/apps/long-lived')).status, 200)
})

test('who may not manage an app couples it nowhere and does not move it', async () => {
  await newApp('guarded')
  const pipeline = await newPipeline('of-somebody', other)
  assert.is((await couple('guarded', pipeline.id, 'staging', other)).status, 404)
  await send('POST', '/apps/guarded/collaborators', { user: 'other@example.com' })
  assert.is((await couple('guarded', pipeline.id, 'staging', other)).status, 403)
  const made = (await couple('guarded', pipeline.id, 'staging')).json
  const path = `/pipeline-couplings/${made.id}`
  assert.is((await send('PATCH', path, { stage: 'production' }, other)).status, 403)
  assert.is((await send('DELETE', path, undefined, other)).status, 403)
})

test('two couplings of one app at once: one is made', async () => {
  await newApp('wanted-twice')
  await newPipeline('left-one')
  await newPipeline('right-one')
  const both = await Promise.all(['left-one', 'right-one'].map((name) => couple('wanted-twice', name, 'staging')))
  assert.equal(both.map(({ status }) => status).sort(), [201, 422])
})

test('config vars of a stage are kept sealed, apart from those of other stages, and only members read them', async () => {
  const pipeline = await newPipeline('with-config')
  const path = (stage: string) => `/pipelines/${pipeline.id}/stage/${stage}/config-vars`
  assert.equal((await get(path('review'))).json, {})
  assert.equal((await send('PATCH', path('review'), { SECRET: 'hidden-word', A: '1' })).json, {
    A: '1',
    SECRET: 'hidden-word',
  })
  assert.equal((await send('PATCH', path('review'), { A: null, B: '2' })).json, { B: '2', SECRET: 'hidden-word' })
  assert.equal((await get(path('test'))).json, {})
  assert.is((await send('PATCH', path('test'), { '1X': 'y' })).status, 422)
  assert.is((await send('PATCH', path('test'), { X: 'y'.repeat(65_536) })).status, 422)
  assert.is((await get(path('nowhere'))).status, 422)
  const rows = await host.d.db.selectFrom('pipeline_config_vars').selectAll().execute()
  assert.not.match(JSON.stringify(rows), 'hidden-word')
  const told = await host.d.db.selectFrom('activities').select('text').execute()
  assert.not.match(JSON.stringify(told), 'hidden-word')
  assert.match(JSON.stringify(told), 'Set SECRET, A config vars of stage review of pipeline with-config')
  await Promise.all(['X', 'Y', 'Z'].map((name) => send('PATCH', path('test'), { [name]: name })))
  assert.equal((await get(path('test'))).json, { X: 'X', Y: 'Y', Z: 'Z' })

  await newApp('in-config')
  await couple('in-config', pipeline.id, 'staging')
  assert.is((await get(path('review'), other)).status, 404)
  await send('POST', '/apps/in-config/collaborators', { user: 'other@example.com' })
  assert.is((await get(path('review'), other)).status, 200)
})

test('apps are filtered by id, to those that the account sees', async () => {
  const ids = [(await newApp('filtered-a')).id, (await newApp('filtered-b', other)).id]
  const wanted = { in: { id: [...ids, 'no-such-id'] } }
  const names = (apps: { name: string }[]) => apps.map(({ name }) => name).sort()
  assert.equal(names((await send('POST', '/filters/apps', wanted)).json), ['filtered-a', 'filtered-b'])
  assert.equal(names((await send('POST', '/filters/apps', wanted, other)).json), ['filtered-b'])
  assert.is((await send('POST', '/filters/apps', {})).status, 422)
})

test('the latest builds, releases and deployments of a pipeline’s apps', async () => {
  await newApp('latest-app')
  const app = await host.d.db.selectFrom('apps').selectAll().where('name', '=', 'latest-app').executeTakeFirstOrThrow()
  await host.deploy(app, { web: 'serve' })
  await send('PATCH', '/apps/latest-app/config-vars', { A: 'b' })
  const pipeline = await newPipeline('latest')
  await couple('latest-app', pipeline.id, 'staging')
  const versions = async (what: string) =>
    (await get(`/pipelines/${pipeline.id}/latest-${what}`)).json.map(({ version }: { version: number }) => version)
  assert.equal(await versions('releases'), [3])
  assert.equal(await versions('deployments'), [2])
  assert.equal((await get(`/pipelines/${pipeline.id}/latest-builds`)).json, [])
  assert.is((await get(`/pipelines/${pipeline.id}/pipeline-stack`)).json.stack.name, 'heroku-24')
})

test.run()
