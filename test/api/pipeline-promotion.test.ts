import { existsSync } from 'node:fs'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { recoverSlugs } from '../../daemon/build/slug/slug.ts'
import { resumePromotions } from '../../daemon/pipeline/promotion.ts'
import { createUnderway } from '../../daemon/pipeline/underway.ts'
import { ensureTree } from '../../daemon/run/tree.ts'
import { slugFolder, slugTree } from '../../daemon/store/slug-path.ts'
import { waitFor } from '../e2e/wait.ts'
import { type Host, startHost } from './host.ts'
import { slugsOf, stageApp } from './pipeline-rig.ts'

let host: Host
let token: string
test.before(async () => {
  host = await startHost()
  token = (await host.invite('other@example.com')).token
})
test.after(() => host.close())

const send = (method: string, path: string, body?: unknown, as?: string) =>
  host.request(method, path, { body, ...(as === undefined ? {} : { token: as }) })
const get = async (path: string) => (await send('GET', path)).json

interface Stages {
  pipeline: { id: string }
  source: { id: string; name: string }
}

/** A pipeline `NAME` with `NAME-staging`, which has code, and empty production apps. */
async function pipelineOf(name: string, ...production: string[]): Promise<Stages> {
  const source = await stageApp(host, `${name}-staging`, name)
  const pipeline = (await send('POST', '/pipelines', { name })).json
  await couple(source.name, name, 'staging')
  for (const app of production) {
    await send('POST', '/apps', { name: app })
    await couple(app, name, 'production')
  }
  return { pipeline, source }
}

const couple = (app: string, pipeline: string, stage: string) =>
  send('POST', '/pipeline-couplings', { app, pipeline, stage })

const promote = async ({ pipeline, source }: Stages, targets?: string[], as?: string) =>
  send(
    'POST',
    '/pipeline-promotions',
    {
      pipeline: { id: pipeline.id },
      source: { app: { id: source.id } },
      ...(targets
        ? {
            targets: await Promise.all(targets.map(async (name) => ({ app: { id: (await get(`/apps/${name}`)).id } }))),
          }
        : {}),
    },
    as,
  )

/** What is asked for is committed, and the daemon dies before anything comes of it. */
async function unworked<T>(work: () => Promise<T>): Promise<T> {
  const { underway } = host.d
  host.d.underway = createUnderway(host.d.log)
  await host.d.underway.stop()
  try {
    return await work()
  } finally {
    host.d.underway = underway
  }
}

const ended = (id: string) =>
  waitFor('the promotion to complete', async () => {
    const { status } = await get(`/pipeline-promotions/${id}`)
    assert.is(status, 'completed')
    return get(`/pipeline-promotions/${id}/promotion-targets`)
  })

test('a promotion gives the code, as it was built, to the next stage, and leaves its config vars', async () => {
  const stages = await pipelineOf('plain', 'plain-prod')
  await send('PATCH', '/apps/plain-prod/config-vars', { OWN: 'kept' })
  const made = await promote(stages)
  assert.is(made.status, 201)
  const [target] = await ended(made.json.id)
  assert.equal([target.status, target.error_message], ['succeeded', null])
  const release = await get(`/apps/plain-prod/releases/${target.release.id}`)
  assert.is(release.description, 'Promote plain-staging v2 aaaaaaaa')
  assert.equal([release.status, release.current], ['succeeded', true])
  assert.equal(await get('/apps/plain-prod/config-vars'), { OWN: 'kept' })
  const [from] = await slugsOf(host, stages.source)
  const [to] = await slugsOf(host, { id: target.app.id })
  assert.is.not(to?.id, from?.id)
  assert.is(to?.checksum, from?.checksum)
  assert.is(to?.files, from?.files)
  assert.is(await readFile(join(slugTree(host.d.config, to?.files ?? ''), 'content'), 'utf8'), 'plain')
  assert.equal(await get('/apps/plain-prod/builds'), [])
})

test('what an app has already is not promoted to it again; what it had before is, without another copy', async () => {
  const stages = await pipelineOf('twice', 'twice-prod')
  await ended((await promote(stages)).json.id)
  const [target] = await ended((await promote(stages)).json.id)
  assert.equal([target.status, target.release], ['failed', null])
  assert.match(target.error_message, 'This app has the same code already (v2)')
  await stageApp(host, 'twice-prod', 'something else')
  const [again] = await ended((await promote(stages)).json.id)
  assert.is(again.status, 'succeeded')
  assert.is((await slugsOf(host, { id: again.app.id })).length, 2)
})

test('promotions that make no sense are refused whole', async () => {
  const stages = await pipelineOf('refused', 'refused-prod')
  await stageApp(host, 'refused-stranger', 'x')
  const message = async (targets?: string[], from: Stages = stages) => {
    const { status, json } = await promote(from, targets)
    assert.is(status, 422)
    return json.message
  }
  assert.match(await message(['refused-stranger']), 'in the pipeline refused')
  assert.match(await message(['refused-staging']), 'Cannot promote from an app to itself: refused-staging')
  const stranger = await get('/apps/refused-stranger')
  assert.match(
    await message(undefined, { ...stages, source: stranger }),
    'refused-stranger is not in the pipeline refused',
  )
  const empty = await get('/apps/refused-prod')
  assert.match(await message(['refused-staging'], { ...stages, source: empty }), 'refused-prod has no code to promote')
  await stageApp(host, 'refused-prod', 'y')
  assert.match(await message(undefined, { ...stages, source: empty }), 'Nothing comes after the stage production')
  assert.is((await send('POST', '/pipeline-promotions', { pipeline: stages.pipeline })).status, 422)
  assert.is((await promote(stages, undefined, token)).status, 404)
})

test('an older release is promoted when it is named, one that has no code is not', async () => {
  const stages = await pipelineOf('older', 'older-prod')
  await stageApp(host, 'older-staging', 'newer')
  const releases = await get('/apps/older-staging/releases')
  const named = (version: number) => ({ id: releases.find((one: { version: number }) => one.version === version).id })
  const body = (version: number) => ({
    ...{ pipeline: stages.pipeline, targets: [] },
    source: { app: { id: stages.source.id }, release: named(version) },
  })
  assert.is((await send('POST', '/pipeline-promotions', body(1))).status, 422)
  const [target] = await ended((await send('POST', '/pipeline-promotions', body(2))).json.id)
  const [slug] = await slugsOf(host, { id: target.app.id })
  assert.is(await readFile(join(slugTree(host.d.config, slug?.files ?? ''), 'content'), 'utf8'), 'older')
})

test('code is not promoted by who may not read it', async () => {
  const stages = await pipelineOf('unread', 'unread-prod')
  await send('POST', '/apps/unread-prod/collaborators', { user: 'other@example.com' })
  await send('POST', '/apps/unread-staging/collaborators', { user: 'other@example.com' })
  await host.d.db
    .updateTable('collaborators')
    .set({ permissions: '["view"]' })
    .where('app_id', '=', (await get('/apps/unread-staging')).id)
    .where('role', '=', 'collaborator')
    .execute()
  const refused = await promote(stages, ['unread-prod'], token)
  assert.equal([refused.status, refused.json.id], [403, 'forbidden'])
})

test('each target ends by itself: one that the account may not deploy to fails, the other gets the code', async () => {
  const stages = await pipelineOf('mixed', 'mixed-a', 'mixed-b')
  for (const app of ['mixed-staging', 'mixed-a', 'mixed-b'])
    await send('POST', `/apps/${app}/collaborators`, { user: 'other@example.com' })
  const { id } = await unworked(async () => (await promote(stages, ['mixed-a', 'mixed-b'], token)).json)
  // Between the request and its turn the app is taken away from who asked.
  await send('DELETE', '/apps/mixed-b/collaborators/other@example.com')
  await resumePromotions(host.d)
  const names = new Map([
    [(await get('/apps/mixed-a')).id, 'a'],
    [(await get('/apps/mixed-b')).id, 'b'],
  ])
  const targets: { app: { id: string }; status: string; error_message: string | null }[] = await ended(id)
  assert.equal(targets.map(({ app, status, error_message }) => [names.get(app.id), status, error_message]).sort(), [
    ['a', 'succeeded', null],
    ['b', 'failed', 'User does not have access to that app'],
  ])
})

test('a release that fails on the target fails the promotion to it, with its reason', async () => {
  const stages = await pipelineOf('failing', 'failing-prod')
  const { runner } = host.d
  host.d.runner = { ...runner, poke: () => {} }
  try {
    const { id } = (await promote(stages)).json
    const release = await waitFor('its release', async () => {
      const [target] = await get(`/pipeline-promotions/${id}/promotion-targets`)
      assert.equal([target.status, target.error_message], ['pending', null])
      assert.ok(target.release)
      return target.release.id
    })
    const failed = { state: 'failed' as const, reason: 'The release command exited with status 1.' }
    await host.d.db.updateTable('rollouts').set(failed).where('release_id', '=', release).execute()
    host.d.settlements.announce(release)
    const [target] = await ended(id)
    assert.equal([target.status, target.error_message], ['failed', 'The release command exited with status 1.'])
  } finally {
    host.d.runner = runner
  }
})

test('a daemon that dies in the middle of a promotion goes on with it at its next start', async () => {
  const stages = await pipelineOf('crashed', 'crashed-prod')
  const { id } = await unworked(async () => (await promote(stages)).json)
  // Files that were copied, and whose row was not committed.
  const orphan = slugFolder(host.d.config, '01234567-89ab-cdef-0123-456789abcdef')
  await mkdir(orphan)
  assert.is((await get(`/pipeline-promotions/${id}`)).status, 'pending')
  await recoverSlugs(host.d)
  assert.not.ok(existsSync(orphan))
  await resumePromotions(host.d)
  const [target] = await ended(id)
  assert.is(target.status, 'succeeded')
  await resumePromotions(host.d)
  assert.is((await get('/apps/crashed-prod/releases')).length, 2)
})

test('promoted code outlives the app that it came from', async () => {
  const stages = await pipelineOf('heir', 'heir-prod')
  await ended((await promote(stages)).json.id)
  const [slug] = await slugsOf(host, { id: (await get('/apps/heir-prod')).id })
  const files = slug?.files ?? ''
  await send('DELETE', '/apps/heir-staging')
  await host.settled()
  assert.is(await readFile(join(slugTree(host.d.config, files), 'content'), 'utf8'), 'heir')
  await rm(slugTree(host.d.config, files), { recursive: true })
  await recoverSlugs(host.d)
  await ensureTree(host.d, files)
  assert.is(await readFile(join(slugTree(host.d.config, files), 'content'), 'utf8'), 'heir')
})

test('a promotion whose source is gone says so', async () => {
  const stages = await pipelineOf('gone', 'gone-late')
  const [slug] = await slugsOf(host, stages.source)
  const { id } = await unworked(async () => (await promote(stages)).json)
  await rm(slugFolder(host.d.config, slug?.files ?? ''), { recursive: true })
  await resumePromotions(host.d)
  const [lost] = await ended(id)
  assert.match(lost.error_message, 'The files of this slug are no longer here')
  await send('DELETE', '/apps/gone-staging')
  await host.settled()
  assert.is((await promote(stages, ['gone-late'])).status, 404)
})

test.run()
