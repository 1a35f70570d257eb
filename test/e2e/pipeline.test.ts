import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { startPlatform } from './platform.ts'
import { sampleFiles, web } from './source.ts'
import { waitFor } from './wait.ts'

const platform = await startPlatform()
test.after(() => platform.stop())
const { api } = platform

interface Slug {
  id: string
  checksum: string
}

const heroku = async (...args: string[]): Promise<string> => {
  const { code, output } = await platform.heroku(args)
  assert.is(code, 0, output)
  return output
}

/** That of the release that serves. */
async function slugOf(app: string): Promise<Slug> {
  const releases = await api<{ current: boolean; slug: { id: string } | null }[]>('GET', `/apps/${app}/releases`)
  const id = releases.find(({ current }) => current)?.slug?.id
  return api<Slug>('GET', `/apps/${app}/slugs/${id}`)
}

/** `NAME-staging` is pushed, `NAME-prod` is empty and has config vars of its own. */
async function pipelineOf(name: string): Promise<{ staging: string; prod: string; id: string }> {
  const [staging, prod] = [`${name}-staging`, `${name}-prod`]
  await platform.deploy(staging, { web, release: 'sleep 1; echo "migrating the database of $STAGE"' })
  await platform.createApp(prod)
  await api('PATCH', `/apps/${prod}/config-vars`, { STAGE: 'production' })
  const { id } = await api<{ id: string }>('POST', '/pipelines', { name })
  await api('POST', '/pipeline-couplings', { app: staging, pipeline: id, stage: 'staging' })
  await api('POST', '/pipeline-couplings', { app: prod, pipeline: id, stage: 'production' })
  return { staging, prod, id }
}

test('pipelines:promote releases the slug of staging in production, with its config vars, and builds nothing', async () => {
  const { staging, prod } = await pipelineOf('shop')
  const output = await heroku('pipelines:promote', '-a', staging)
  assert.match(output, 'migrating the database of production')
  assert.match(output, 'Promotion successful')
  assert.is((await platform.request(prod)).body, 'v1 web.1\n')
  assert.is(JSON.parse((await platform.request(prod, '/env')).body).STAGE, 'production')
  const [from, to] = [await slugOf(staging), await slugOf(prod)]
  assert.is(to.checksum, from.checksum)
  assert.equal(await readdir(join(platform.data, 'slugs')), [from.id], 'its files are there once')
  assert.equal(await api('GET', `/apps/${prod}/builds`), [])
  await api('DELETE', `/apps/${staging}`)
  await waitFor('the staging app to be gone', async () => (await platform.containers()).length === 1)
  await api('DELETE', `/apps/${prod}/dynos`)
  await waitFor('production to serve after a restart', async () => (await platform.request(prod)).status === 200)
})

test('a promotion goes on when the daemon is killed in the middle', async () => {
  const { staging, prod, id } = await pipelineOf('crash')
  const source = await api<{ id: string }>('GET', `/apps/${staging}`)
  const promotion = await api<{ id: string }>('POST', '/pipeline-promotions', {
    ...{ pipeline: { id }, source: { app: { id: source.id } }, targets: [] },
  })
  await platform.daemon.kill()
  await platform.startDaemon()
  const path = `/pipeline-promotions/${promotion.id}`
  await waitFor(
    'the promotion to complete',
    async () => (await api<{ status: string }>('GET', path)).status === 'completed',
    { within: 60_000 },
  )
  const [target] = await api<{ status: string }[]>('GET', `${path}/promotion-targets`)
  assert.is(target?.status, 'succeeded')
  assert.is((await platform.request(prod)).body, 'v1 web.1\n')
})

test('reviewapps:create makes a running app of a branch that was pushed and not deployed, and runs its postdeploy script', async () => {
  const source = await platform.deploy('blog-staging')
  const { id } = await api<{ id: string }>('POST', '/pipelines', { name: 'blog' })
  await api('POST', '/pipeline-couplings', { app: 'blog-staging', pipeline: id, stage: 'staging' })
  await api('PATCH', `/pipelines/${id}/stage/review/config-vars`, { API_KEY: 'of the pipeline' })
  const manifest = {
    env: { SECRET: { generator: 'secret' } },
    environments: { review: { scripts: { postdeploy: 'echo "seeding $HEROKU_BRANCH with $API_KEY"' } } },
  }
  await platform.git(source.dir, 'checkout', '-b', 'topic/new')
  await source.commit({ ...sampleFiles(), version: 'topic\n', 'app.json': JSON.stringify(manifest) })
  const { code, output } = await platform.push(source, 'blog-staging', 'topic/new')
  assert.is(code, 0, output)
  assert.match(output, 'skipping build')
  await heroku('reviewapps:create', '-p', 'blog', '-b', 'topic/new', '--wait', '--wait-interval', '1')
  const [reviewApp] = await api<{ app: { id: string }; app_setup: { id: string } }[]>(
    'GET',
    `/pipelines/${id}/review-apps`,
  )
  const app = await api<{ name: string }>('GET', `/apps/${reviewApp?.app.id}`)
  assert.match(app.name, /^blog-topic-new-\w{4}$/)
  assert.is((await platform.request(app.name)).body, 'topic web.1\n')
  assert.is((await platform.request('blog-staging')).body, 'v1 web.1\n')
  const setup = await api<{ postdeploy: unknown }>('GET', `/app-setups/${reviewApp?.app_setup.id}`)
  assert.equal(setup.postdeploy, { output: 'seeding topic/new with of the pipeline\n', exit_code: 0 })
  assert.match(JSON.parse((await platform.request(app.name, '/env')).body).SECRET, /^[0-9a-f]{64}$/)
})

test.run()
