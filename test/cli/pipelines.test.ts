import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { stageApp } from '../api/pipeline-rig.ts'
import { type Rig, startRig } from './rig.ts'
import { startPerson } from './sluice.ts'

const rig: Rig = await startRig()
const { heroku, refused, host, home } = rig
test.after(() => rig.close())

const app = (name: string) => host.request('POST', '/apps', { body: { name } })

test('heroku pipelines:create, :add, :info and pipelines show which app is in which stage', async () => {
  await stageApp(host, 'shop-staging', 'v1')
  await app('shop-prod')
  const created = await heroku('pipelines:create shop -a shop-staging -s staging')
  assert.match(created, 'Creating shop pipeline... done')
  assert.match(created, /Adding .*shop-staging to shop pipeline as staging... done/)
  assert.match(
    await heroku('pipelines:add shop -a shop-prod -s production'),
    /shop-prod to shop pipeline as production... done/,
  )
  assert.match(await heroku('pipelines'), /^shop$/m)
  const info = await heroku('pipelines:info shop')
  assert.match(info, /=== shop\s+owner: admin@example\.com/)
  assert.match(info, /shop-staging +staging\s+.*shop-prod +production/)
  assert.match(await heroku('apps:info -a shop-staging'), /shop - staging/)
  assert.match(await refused('pipelines:add shop -a shop-prod -s staging'), 'shop-prod is already in the pipeline shop')
  assert.match(await refused('pipelines:create shop -a shop-prod -s staging'), 'Name shop is already taken')
  assert.match(await refused('pipelines:info absent'), 'Pipeline not found')
})

test('heroku pipelines:promote gives the code to the next stage, and with --to to the apps that are named', async () => {
  const promoted = await heroku('pipelines:promote -a shop-staging')
  assert.match(promoted, 'Starting promotion to production...')
  assert.match(promoted, 'Promotion successful')
  assert.match(promoted, /shop-prod: +succeeded/)
  assert.match(await heroku('releases -a shop-prod'), /v2 +Promote shop-staging v2 aaaaaaaa +admin@example\.com/)
  await app('shop-mirror')
  await heroku('pipelines:add shop -a shop-mirror -s development')
  assert.match(await heroku('pipelines:promote -a shop-staging --to shop-mirror'), /shop-mirror: +succeeded/)
  assert.match(await refused('pipelines:promote -a shop-staging'), 'This app has the same code already (v2)')
  assert.match(await refused('pipelines:promote -a shop-prod'), "Cannot promote shop-prod from 'production' stage")
})

/** A release command that begins when it is told to. */
async function stageCommand(version: string): Promise<() => Promise<void>> {
  await stageApp(host, 'shop-staging', version, { web: 'serve', release: 'migrate' })
  const { runner } = host.d
  host.d.runner = { ...runner, poke: () => {} }
  return async () => {
    const { id, app_id } = await host.d.db
      .selectFrom('rollouts')
      .innerJoin('releases', 'releases.id', 'rollouts.release_id')
      .select(['releases.id', 'releases.app_id'])
      .where('rollouts.state', '=', 'waiting')
      .executeTakeFirstOrThrow()
    const transcript = await host.d.transcripts.open(`release-${id}`)
    transcript.write('migrating the database\n')
    await transcript.end()
    host.d.runner = runner
    runner.poke(app_id)
  }
}

test('heroku pipelines:promote shows the output of the release command on the target', async () => {
  const migrate = await stageCommand('v2')
  const hear = (text: string) => void (text.includes('Running release command') && migrate())
  const shown = await heroku('pipelines:promote -a shop-staging -t shop-prod', { hear })
  assert.match(shown, /Running release command\.\.\.\s+migrating the database\s+Promotion successful/)
})

test('sluice pipelines:promote waits for a release command that has not begun, and shows its output', async () => {
  const migrate = await stageCommand('v3')
  const person = await startPerson({ SLUICE_API_URL: host.url, SLUICE_API_KEY: host.token })
  let begun: Promise<void> | undefined
  const hear = (text: string) => {
    if (text.includes('Running release command')) begun ??= pause(500).then(migrate)
  }
  const { out } = await person.sluice(['pipelines:promote', '-a', 'shop-staging', '-t', 'shop-prod'], { hear })
  await begun
  await person.close()
  assert.match(out, /Running release command\.\.\.\s+migrating the database\s+Promotion successful/)
})

test('heroku pipelines:update, :remove, :rename, :transfer and :destroy', async () => {
  assert.match(await heroku('pipelines:update -s staging -a shop-mirror'), /Changing .*shop-mirror to staging... done/)
  assert.match(await heroku('pipelines:remove -a shop-mirror'), /Removing .*shop-mirror... done/)
  assert.match(await heroku('pipelines:rename shop store'), 'Renaming shop pipeline to store... done')
  await host.invite('other@example.com')
  const moved = await heroku('pipelines:transfer other@example.com -p store -c store')
  assert.match(moved, 'Transferring store pipeline to the other@example.com account... done')
  assert.match(
    await refused('pipelines:transfer nobody@example.com -p store -c store'),
    'Cannot find a team or account',
  )
  assert.match(await refused('pipelines:diff -a shop-mirror'), 'does not seem to be a part of any pipeline')
  assert.match(await heroku('pipelines:destroy store'), 'Destroying store pipeline... done')
  assert.not.match(await heroku('pipelines --json'), 'store')
})

test('heroku ci:config sets, gets, shows and unsets config vars of the stage test', async () => {
  await heroku('pipelines:create tested -a shop-mirror -s staging')
  assert.match(await heroku('ci:config:set NODE_ENV=test -p tested'), /NODE_ENV: +test/)
  assert.match(await heroku('ci:config:get NODE_ENV -p tested'), /^test$/m)
  assert.match(await heroku('ci:config -a shop-mirror'), /tested test config vars\s+NODE_ENV: +test/)
  assert.match(await heroku('ci:config:unset NODE_ENV -p tested'), 'Unsetting NODE_ENV... done')
  assert.match(await heroku('ci:config --json -p tested'), '{}')
})

test('heroku ci:migrate-manifest moves app-ci.json into app.json', async () => {
  await writeFile(join(home, 'app-ci.json'), '{"scripts": {"test": "npm test"}}')
  await writeFile(join(home, 'app.json'), '{"name": "shop"}')
  assert.match(await heroku('ci:migrate-manifest'), 'Deleting app-ci.json file... done')
  assert.equal(JSON.parse(await readFile(join(home, 'app.json'), 'utf8')), {
    name: 'shop',
    environments: { test: { scripts: { test: 'npm test' } } },
  })
})

test.run()
