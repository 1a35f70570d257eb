import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { startTwins } from './twins.ts'

/** What `sluice` does as the official CLI does: who may do what, what surrounds an app, and the account. */
const twins = await startTwins()
const { same, differ, sluice, call, rig } = twins
const { host, home } = rig
test.after(() => twins.close())

const create = (name: string) => host.request('POST', '/apps', { body: { name } })
for (const name of ['shop-aa', 'shop-bb', 'shop-staging-aa', 'shop-staging-bb']) await create(name)
for (const name of ['shop-staging-aa', 'shop-staging-bb'])
  await host.deploy(await host.d.db.selectFrom('apps').selectAll().where('name', '=', name).executeTakeFirstOrThrow(), {
    web: 'node server.js',
  })
await host.invite('ann@example.com')

test('access, teams and their members', async () => {
  await same(
    'access -a shop-%',
    'access:add ann@example.com -a shop-%',
    'access:add nobody@example.com -a shop-%',
    'access:add -a shop-%',
    'access -a shop-%',
    'access:update ann@example.com -p deploy -a shop-%',
    'access:remove ann@example.com -a shop-%',
    'access:remove ann@example.com -a shop-%',
    'teams',
    'orgs --json',
    'orgs --enterprise --json',
    'members -t sluice',
    'members -t sluice --role admin',
    'members -t sluice --role owner',
    'members -t nope',
    'members:add new-%@example.com --role member -t sluice',
    'members -t sluice --pending',
    'members:remove new-%@example.com -t sluice',
    'members:set ann@example.com --role admin -t sluice',
    'members:set ann@example.com --role member -t sluice',
    'members:set ann@example.com -t sluice',
    'apps:create team-% -t sluice --no-remote',
    'apps -t sluice',
    'access:add ann@example.com -a team-%',
    'access:add ann@example.com --permissions deploy -a team-%',
    'access -a team-%',
    'access:update ann@example.com --permissions operate,view -a team-%',
    'access:remove ann@example.com -a team-%',
    'apps:lock -a team-%',
    'apps:lock -a team-%',
    'apps -t sluice',
    'apps:unlock -a team-%',
    'apps:unlock -a team-%',
    'apps:leave -a team-%',
    'apps:join -a team-%',
    'apps:transfer ann@example.com -a shop-%',
    'apps:transfer admin@example.com -a team-% --confirm team-%',
  )
})

test('buildpacks', async () => {
  await same(
    'buildpacks -a shop-%',
    'buildpacks:add heroku/nodejs -a shop-%',
    'buildpacks -a shop-%',
    'buildpacks:add heroku/nodejs -a shop-%',
    'buildpacks:add heroku/python --index 1 -a shop-%',
    'buildpacks:add https://example.com/pack.tgz -a shop-%',
    'buildpacks -a shop-%',
    'buildpacks --json -a shop-%',
    'buildpacks:set heroku/ruby -i 2 -a shop-%',
    'buildpacks:set heroku/go --json -a shop-%',
    'buildpacks:add heroku/php -i 0 -a shop-%',
    'buildpacks:remove -a shop-%',
    'buildpacks:remove heroku/nope -a shop-%',
    'buildpacks:remove -i 9 -a shop-%',
    'buildpacks:remove -i 1 -a shop-%',
    'buildpacks:remove heroku/ruby -a shop-%',
    'buildpacks:remove https://example.com/pack.tgz -a shop-%',
    'buildpacks:remove heroku/ruby -a shop-%',
    'buildpacks:clear -a shop-%',
    'buildpacks:clear --json -a shop-%',
  )
})

test('features, labs, maintenance, drains and regions', async () => {
  await same(
    'features -a shop-%',
    'features --json -a shop-%',
    'features:info http-session-affinity -a shop-%',
    'features:info nope -a shop-%',
    'features:enable http-session-affinity -a shop-%',
    'features:enable http-session-affinity -a shop-%',
    'features:disable http-session-affinity -a shop-%',
    'features:disable preboot -a shop-%',
    'labs',
    'labs -a shop-%',
    'labs:info runtime-dyno-metadata -a shop-%',
    'labs:enable runtime-dyno-metadata -a shop-%',
    'labs:disable runtime-dyno-metadata -a shop-%',
    'labs:enable nope -a shop-%',
    'labs:info nope',
    'maintenance -a shop-%',
    'maintenance:on -a shop-%',
    'maintenance -a shop-%',
    'maintenance:off -a shop-%',
    'drains -a shop-%',
    'drains:add https://logs-%.example.com/in -a shop-%',
    'drains:add ftp://example.com -a shop-%',
    'drains -a shop-%',
    'drains --json -a shop-%',
    'drains:remove https://logs-%.example.com/in -a shop-%',
    'drains:remove https://logs-%.example.com/in -a shop-%',
    'regions',
    'regions --json',
    'regions --common',
    'regions --private --json',
  )
})

test('pipelines', async () => {
  await same(
    'pipelines',
    'pipelines:create line-% -s staging -a shop-staging-%',
    'pipelines:promote -a shop-staging-%',
    'pipelines:add line-% -s production -a shop-%',
    'pipelines:add line-% -s production -a shop-%',
    'pipelines:add nope -s production -a shop-%',
    'pipelines:info line-%',
    'pipelines:info line-% --with-owners',
    'pipelines:info nope',
    'pipelines --json',
    'apps:info -a shop-%',
    'pipelines:promote -a shop-%',
    'pipelines:promote -a shop-staging-%',
    'pipelines:update -s development -a shop-%',
    'pipelines:update -s nonsense -a shop-%',
    'pipelines:promote --to shop-% -a shop-staging-%',
  )
  const words = 'an error is not called by what JavaScript calls it'
  await differ(
    'pipelines:promote --to shop-staging-% -a shop-staging-%',
    words,
    /Error: Cannot promote from an app to itself/,
  )
  await differ('pipelines:promote --to nope -a shop-staging-%', words, /Error: Cannot find app nope/)
  await same(
    'pipelines:rename line-% better-%',
    'pipelines:remove -a shop-%',
    'pipelines:remove -a shop-%',
    'pipelines:transfer sluice -p better-% --confirm better-%',
    'pipelines:destroy better-%',
    'pipelines:destroy better-%',
  )
  // the official CLI waits for an answer that nobody gives; a script gets the guess, which Enter would take
  assert.match(
    await sluice('pipelines:create -a shop-staging-bb'),
    /^Creating shop-staging-bb pipeline\.\.\. done\nAdding shop-staging-bb to shop-staging-bb pipeline as production\.\.\. done\n$/,
  )
})

test('webhooks', async () => {
  const add = '-i api:release -l notify -u https://example-%.com'
  await same(
    'webhooks -a shop-%',
    `webhooks:add ${add} -s mine -a shop-%`,
    'webhooks:add -i api:nope -l notify -u https://example.com -a shop-%',
    'webhooks -a shop-%',
  )
  const [theirs = '', ours = ''] = await Promise.all(
    ['shop-aa', 'shop-bb'].map(async (name) => (await host.request('GET', `/apps/${name}/webhooks`)).json[0].id),
  )
  call('hook', theirs, ours)
  await same(
    'webhooks:info {hook} -a shop-%',
    'webhooks:info nope -a shop-%',
    'webhooks:update {hook} -i api:app -l sync -u https://example.com/other -a shop-%',
    'webhooks:deliveries -a shop-%',
    'webhooks:remove {hook} -a shop-%',
    'webhooks:remove {hook} -a shop-%',
  )
})

test('keys, authorizations and sessions', async () => {
  for (const side of ['aa', 'bb'])
    await rig.execute('ssh-keygen', [
      '-q',
      '-t',
      'ed25519',
      '-N',
      '',
      '-C',
      `me-${side}`,
      '-f',
      join(home, `key-${side}`),
    ])
  await writeFile(join(home, 'wrong.pub'), 'no key\n')
  await same(
    'keys',
    'keys:add key-%.pub',
    'keys:add key-%.pub',
    'keys:add wrong.pub',
    'keys',
    'keys --long',
    'keys --json',
    'keys:remove nope',
    'keys:remove me-%',
    'keys:clear',
    'keys:remove me-%',
    'authorizations:create -d for-% -s read,identity -e 3600',
    'authorizations:create -s everything',
    'authorizations',
    'authorizations --json',
    'authorizations:info nope',
    'sessions',
    'sessions --json',
    'sessions:destroy nope',
  )
  const { json } = await host.request('GET', '/oauth/authorizations')
  const made = (description: string) =>
    json.find((one: { description: string }) => one.description === description)?.id ?? ''
  call('auth', made('for-aa'), made('for-bb'))
  await same(
    'authorizations:info {auth}',
    'authorizations:update {auth} -d still-%',
    'authorizations:rotate {auth}',
    'authorizations:revoke {auth}',
    'authorizations:revoke {auth}',
  )
})

test('what there is not is told in a word, with what there is instead', async () => {
  for (const [word, instead] of [
    ['addons:create heroku-postgresql -a shop-bb', /no add-ons on this platform.*config:set/s],
    ['pg:psql -a shop-bb', /no databases on this platform.*config:set DATABASE_URL/s],
    ['pg settings:log-statement', /no databases on this platform/],
    ['help pg', /no databases on this platform/],
    ['ci', /no CI on this platform/],
    ['ci debug', /no CI on this platform/],
    ['container:push web', /docker push HOST.*heroku container:push/s],
    ['spaces', /no private spaces/],
    ['pipelines:open line', /no dashboard.*sluice pipelines:info/s],
    ['pipelines open line', /no dashboard/],
    ['apps favorites add', /no dashboard/],
  ] as const) {
    const { code, err } = await twins.run(word)
    assert.is(code, 1, word)
    assert.match(err, instead)
  }
})

test.run()
