import { CompiledQuery } from 'kysely'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { destroyStale } from '../../daemon/pipeline/review-app.ts'
import { waitFor } from '../e2e/wait.ts'
import { type Host, startHost } from './host.ts'
import { pushBranch, runInstantly, stageApp } from './pipeline-rig.ts'

let host: Host
let token: string
test.before(async () => {
  host = await startHost()
  token = (await host.invite('other@example.com')).token
  runInstantly(host)
})
test.after(() => host.close())

const send = (method: string, path: string, body?: unknown, as?: string) =>
  host.request(method, path, { body, ...(as === undefined ? {} : { token: as }) })
const get = async (path: string) => (await send('GET', path)).json

/** A pipeline with a staging app that these files were pushed to as a branch. */
async function pipelineWith(name: string, branch: string, files: Record<string, string>) {
  const app = await stageApp(host, `${name}-staging`, name)
  const commit = await pushBranch(host, app, branch, { Procfile: 'web: serve\n', ...files })
  const pipeline = (await send('POST', '/pipelines', { name })).json
  await send('POST', '/pipeline-couplings', { app: app.id, pipeline: pipeline.id, stage: 'staging' })
  return { pipeline, app, commit }
}

const review = (pipeline: string, branch: string, more: object = {}, as?: string) =>
  send('POST', '/review-apps', { branch, pipeline, source_blob: { url: 'resolve', version: null }, ...more }, as)

const ended = (id: string) =>
  waitFor('the review app', async () => {
    const app = await get(`/review-apps/${id}`)
    assert.is.not(app.status, 'creating')
    return app
  })

test('a review app is made of a branch, with the config vars of its stage and the app.json’s part for reviews', async () => {
  const manifest = {
    env: { FROM: 'app.json', KEPT: 'yes', ASKED: {} },
    environments: { review: { env: { REVIEW: 'only', ASKED: { required: false } } } },
  }
  const { pipeline, commit } = await pipelineWith('shop', 'feature/cart', { 'app.json': JSON.stringify(manifest) })
  await send('PATCH', `/pipelines/${pipeline.id}/stage/review/config-vars`, { FROM: 'pipeline', API: 'key' })
  const made = await review(pipeline.id, 'feature/cart', { pr_number: 7, environment: { API: 'mine' } })
  assert.equal(
    [made.status, made.json.status, made.json.pr_number, made.json.branch],
    [201, 'creating', 7, 'feature/cart'],
  )
  const app = await get(`/apps/${made.json.app.id}`)
  assert.match(app.name, /^shop-feature-cart-[a-z0-9]{4}$/)
  const done = await ended(made.json.id)
  assert.equal([done.status, done.message], ['created', null])
  assert.equal(await get(`/apps/${app.name}/config-vars`), {
    ...{ FROM: 'pipeline', API: 'mine', KEPT: 'yes', REVIEW: 'only' },
    ...{ HEROKU_APP_NAME: app.name, HEROKU_BRANCH: 'feature/cart', HEROKU_PR_NUMBER: '7' },
  })
  assert.is((await get(`/apps/${app.name}/pipeline-couplings`)).stage, 'review')
  assert.is((await get(`/apps/${app.name}/review-app`)).id, made.json.id)
  const [release] = (await get(`/apps/${app.name}/releases`)).reverse()
  assert.is(release.description, `Deploy ${commit.slice(0, 8)}`)
  assert.is((await get(`/app-setups/${made.json.app_setup.id}`)).status, 'succeeded')
  assert.equal(
    (await get(`/pipelines/${pipeline.id}/review-apps`)).map(({ id }: { id: string }) => id),
    [made.json.id],
  )
  assert.match((await review('shop', 'feature/cart')).json.message, 'has a review app already')
  assert.is((await send('DELETE', `/review-apps/${made.json.id}`)).json.status, 'deleting')
  assert.is((await send('GET', `/apps/${app.name}`)).status, 404)
  assert.is((await review('shop', 'feature/cart')).status, 201)
})

test('a review app that cannot be set up is errored, and says why', async () => {
  await pipelineWith('bad', 'spoilt', { 'app.json': '{"env": {"NEEDED": {}}}' })
  const { json } = await review('bad', 'spoilt')
  const done = await ended(json.id)
  assert.equal([done.status, done.message], ['errored', 'invalid app.json: config var NEEDED is required'])
})

test('the repository of a pipeline is that of its staging app, and knows the branches that were pushed', async () => {
  const { pipeline, app, commit } = await pipelineWith('repo', 'topic', {})
  await send('POST', '/apps', { name: 'repo-dev' })
  await send('POST', '/pipeline-couplings', { app: 'repo-dev', pipeline: 'repo', stage: 'development' })
  const found = await get(`/pipelines/${pipeline.id}/repo`)
  assert.equal([found.full_name, Number.isSafeInteger(found.id)], [app.name, true])
  const path = (branch: string) => `/pipelines/${pipeline.id}/repo/branches/${encodeURIComponent(branch)}`
  assert.equal(await get(path('topic')), { name: 'topic', commit: { sha: commit } })
  for (const branch of ['absent', 'topic^{tree}', 'topic~0', '../heads/topic', '-h', '--all', 'x'.repeat(300), 'a\nb'])
    assert.is((await send('GET', path(branch))).status, 404, branch)
  assert.is((await review('repo', 'absent')).status, 404)
  assert.is((await review('repo', 'a\nb')).status, 422)
  await send('POST', '/pipelines', { name: 'without-apps' })
  assert.is((await send('GET', '/pipelines/without-apps/repo')).status, 404)
  assert.is((await send('GET', '/account/features/dashboard-repositories-api')).json.enabled, true)
})

test('only who may deploy to an app of the pipeline makes a review app, and it is theirs', async () => {
  const { app } = await pipelineWith('members', 'topic', {})
  assert.is((await review('members', 'topic', {}, token)).status, 404)
  await send('POST', `/apps/${app.name}/collaborators`, { user: 'other@example.com' })
  const { status, json } = await review('members', 'topic', {}, token)
  assert.is(status, 201)
  assert.is((await get(`/apps/${json.app.id}`)).owner.email, 'other@example.com')
  await ended(json.id)
  assert.is((await send('DELETE', `/review-apps/${json.id}`, undefined, token)).status, 200)
  assert.is((await send('GET', '/review-apps/nothing')).status, 404)
  assert.is((await send('GET', `/apps/${app.name}/review-app`)).status, 404)
})

test('a branch that the account may not clone makes no review app of its own', async () => {
  const { app } = await pipelineWith('unread', 'topic', {})
  await send('POST', '/apps', { name: 'unread-dev' })
  await send('POST', '/pipeline-couplings', { app: 'unread-dev', pipeline: 'unread', stage: 'development' })
  for (const name of [app.name, 'unread-dev'])
    await send('POST', `/apps/${name}/collaborators`, { user: 'other@example.com' })
  await host.d.db
    .updateTable('collaborators')
    .set({ permissions: '["view"]' })
    .where('app_id', '=', app.id)
    .where('role', '=', 'collaborator')
    .execute()
  const refused = await review('unread', 'topic', {}, token)
  assert.equal([refused.status, refused.json.id], [403, 'forbidden'])
})

test('review apps are enabled, named, and disabled; what needs GitHub or CI is refused', async () => {
  const { pipeline, app } = await pipelineWith('enabled', 'topic', {})
  const path = `/pipelines/${pipeline.id}/review-app-config`
  assert.is((await send('GET', path)).status, 404)
  assert.match((await send('POST', path, { repo: 'owner/name' })).json.message, 'is enabled-staging, not owner/name')
  for (const wish of [{ automatic_review_apps: true }, { wait_for_ci: true }])
    assert.is((await send('POST', path, { repo: app.name, ...wish })).status, 422)
  assert.is((await send('POST', path, { repo: app.name, base_name: 'Bad_' })).status, 422)
  const made = await send('POST', path, { repo: app.name, base_name: 'short' })
  assert.equal([made.status, made.json.automatic_review_apps, made.json.base_name], [201, false, 'short'])
  assert.is((await send('POST', path, { repo: app.name })).status, 422)
  assert.is((await send('PATCH', path, { stale_days: 9 })).json.stale_days, 9)
  assert.is((await get(path)).base_name, 'short')
  const { json } = await review('enabled', 'topic')
  assert.match((await get(`/apps/${json.app.id}`)).name, /^short-topic-[a-z0-9]{4}$/)
  assert.is((await send('DELETE', path, {})).status, 200)
  assert.is((await send('GET', path)).status, 404)
})

test('a review app without new code for so many days is destroyed, if the pipeline wants that', async () => {
  const { pipeline, app } = await pipelineWith('stale', 'old', {})
  await pushBranch(host, app, 'new', { Procfile: 'web: serve\n' })
  const config = `/pipelines/${pipeline.id}/review-app-config`
  await send('POST', config, { repo: app.name, stale_days: 2 })
  const [old, fresh] = [(await review('stale', 'old')).json, (await review('stale', 'new')).json]
  await Promise.all([ended(old.id), ended(fresh.id)])
  const past = { created_at: Date.now() - 3 * 24 * 60 * 60 * 1000 }
  await host.d.db.updateTable('review_apps').set(past).where('id', 'in', [old.id, fresh.id]).execute()
  await host.d.db.updateTable('builds').set(past).where('app_id', '=', old.app.id).execute()
  await destroyStale(host.d)
  assert.is((await send('GET', `/apps/${old.app.id}`)).status, 200)
  assert.is((await send('PATCH', config, { destroy_stale_apps: true })).json.destroy_stale_apps, true)
  await destroyStale(host.d)
  const left = [old, fresh].map(async ({ app: { id } }) => (await send('GET', `/apps/${id}`)).status)
  assert.equal(await Promise.all(left), [404, 200])
})

test('a stale review app that cannot be destroyed is told and holds up no other', async () => {
  const { pipeline, app } = await pipelineWith('stuck', 'first', {})
  await pushBranch(host, app, 'second', { Procfile: 'web: serve\n' })
  await send('POST', `/pipelines/${pipeline.id}/review-app-config`, { repo: app.name, destroy_stale_apps: true })
  const both = [(await review('stuck', 'first')).json, (await review('stuck', 'second')).json]
  await Promise.all(both.map(({ id }) => ended(id)))
  const ids = both.map(({ app: { id } }) => id)
  await host.d.db.updateTable('review_apps').set({ created_at: 1 }).where('app_id', 'in', ids).execute()
  await host.d.db.updateTable('builds').set({ created_at: 1 }).where('app_id', 'in', ids).execute()
  const stuck = `CREATE TRIGGER stuck BEFORE UPDATE ON apps WHEN NEW.id = '${ids[0]}' BEGIN SELECT RAISE(ABORT, 'stuck'); END`
  await host.d.db.executeQuery(CompiledQuery.raw(stuck))
  await destroyStale(host.d)
  await host.d.db.executeQuery(CompiledQuery.raw('DROP TRIGGER stuck'))
  const left = await Promise.all(ids.map(async (id) => (await send('GET', `/apps/${id}`)).status))
  assert.equal(left, [200, 404])
  assert.ok(host.logged.some((line) => line.includes('a stale review app was not destroyed') && line.includes(ids[0])))
})

test('a stale review app of the team is destroyed, too', async () => {
  const [team] = await get('/teams')
  const owner = { id: team.id, type: 'team' }
  const app = await stageApp(host, 'team-staging', 'team')
  await pushBranch(host, app, 'old', { Procfile: 'web: serve\n' })
  await send('POST', '/pipelines', { name: 'of-team', owner })
  await send('POST', '/pipeline-couplings', { app: app.id, pipeline: 'of-team', stage: 'staging' })
  await send('POST', '/pipelines/of-team/review-app-config', {
    repo: app.name,
    stale_days: 2,
    destroy_stale_apps: true,
  })
  const { json } = await review('of-team', 'old')
  await ended(json.id)
  assert.is((await get(`/apps/${json.app.id}`)).team.id, team.id)
  const past = { created_at: Date.now() - 3 * 24 * 60 * 60 * 1000 }
  await host.d.db.updateTable('review_apps').set(past).where('id', '=', json.id).execute()
  await host.d.db.updateTable('builds').set(past).where('app_id', '=', json.app.id).execute()
  await destroyStale(host.d)
  assert.is((await send('GET', `/apps/${json.app.id}`)).status, 404)
})

test('two review apps of one branch at once: one is made', async () => {
  await pipelineWith('at-once', 'a-very-long-branch-name-indeed/with-more', {})
  const both = await Promise.all([1, 2].map(() => review('at-once', 'a-very-long-branch-name-indeed/with-more')))
  assert.equal(both.map(({ status }) => status).sort(), [201, 422])
  const name = (await get(`/apps/${both.find(({ status }) => status === 201)?.json.app.id}`)).name
  assert.ok(name.length <= 30, name)
})

test.run()
