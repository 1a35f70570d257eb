import * as assert from 'uvu/assert'
import { waitFor } from '../e2e/wait.ts'
import { pushBranch } from './pipeline-rig.ts'
import type { Walk } from './walk.ts'

export async function walkPipelines(at: Walk): Promise<void> {
  const { get, all } = at
  const [team] = await get('GET', '/teams')
  const owner = { id: team.id, type: 'team' }
  const { id } = await get('POST', '/pipelines', { name: 'walks', owner })
  const couple = (app: string, stage: string) => get('POST', '/pipeline-couplings', { app, pipeline: id, stage })
  const coupling = `/pipeline-couplings/${(await couple('walk', 'development')).id}`
  const config = `/pipelines/${id}/stage/test/config-vars`
  await all([
    ['GET', '/pipelines'],
    ['GET', '/pipelines/walks'],
    ['PATCH', `/pipelines/${id}`, { name: 'walk-line' }],
    ['GET', `/pipelines/${id}/pipeline-stack`],
    ['PATCH', coupling, { stage: 'staging' }],
    ['GET', coupling],
    ['GET', '/pipeline-couplings'],
    ['GET', '/users/~/pipeline-couplings'],
    ['GET', '/teams/sluice/pipeline-couplings'],
    ['GET', '/apps/walk/pipeline-couplings'],
    ['GET', `/pipelines/${id}/pipeline-couplings`],
    ['GET', `/pipelines/${id}/latest-builds`],
    ['GET', `/pipelines/${id}/latest-releases`],
    ['GET', `/pipelines/${id}/latest-deployments`],
    ['PATCH', config, { STAGE: 'test' }],
    ['GET', config],
  ])
  await walkPromotion(at, { pipeline: id, target: await couple('walk-prod', 'production') })
  const { id: other } = await get('POST', '/pipelines', { name: 'other-line' })
  await all([
    ['POST', '/pipeline-transfers', { pipeline: { id: other }, new_owner: owner }],
    ['DELETE', `/pipelines/${other}`],
    ['DELETE', `/pipeline-couplings/${(await get('GET', '/apps/walk-prod/pipeline-couplings')).id}`],
  ])
}

async function walkPromotion(
  { get }: Walk,
  { pipeline, target }: { pipeline: string; target: { app: object } },
): Promise<void> {
  const { app } = await get('GET', '/apps/walk/pipeline-couplings')
  const { id } = await get('POST', '/pipeline-promotions', {
    ...{ pipeline: { id: pipeline }, source: { app }, targets: [{ app: target.app }] },
  })
  await waitFor('the promotion', async () => (await get('GET', `/pipeline-promotions/${id}`)).status === 'completed')
  const [promoted] = await get('GET', `/pipeline-promotions/${id}/promotion-targets`)
  assert.equal([promoted.status, promoted.error_message], ['succeeded', null])
}

export async function walkReviewApps({ host, get, all }: Walk): Promise<void> {
  const app = await host.d.db.selectFrom('apps').selectAll().where('name', '=', 'walk').executeTakeFirstOrThrow()
  await pushBranch(host, app, 'topic', { Procfile: 'web: serve\n' })
  const { id } = await get('GET', '/pipelines/walk-line')
  const config = `/pipelines/${id}/review-app-config`
  const wish = { branch: 'topic', pipeline: id, source_blob: { url: 'resolve', version: null }, pr_number: 7 }
  await all([
    ['POST', config, { repo: 'walk' }],
    ['GET', config],
    ['PATCH', config, { stale_days: 9 }],
  ])
  const made = await get('POST', '/review-apps', wish)
  const done = await waitFor('the review app', async () => {
    const reviewApp = await get('GET', `/review-apps/${made.id}`)
    return reviewApp.status !== 'creating' && reviewApp
  })
  assert.equal([done.status, done.message], ['created', null])
  await all([
    ['GET', `/pipelines/${id}/review-apps`],
    ['GET', `/apps/${made.app.id}/review-app`],
    ['DELETE', `/review-apps/${made.id}`],
    ['DELETE', config],
  ])
}
