import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { startTwins } from './twins.ts'

/** What `sluice` does as the official CLI does: an app, its config vars, releases, dynos and names. */
const twins = await startTwins()
const { same, differ, sluice, rig } = twins
const { host } = rig
test.after(() => twins.close())

const appRow = (name: string) =>
  host.d.db.selectFrom('apps').selectAll().where('name', '=', name).executeTakeFirstOrThrow()

for (const name of ['shop-aa', 'shop-bb']) {
  await host.request('POST', '/apps', { body: { name } })
  await host.deploy(await appRow(name), { web: 'node server.js', worker: 'node worker.js' })
}

test('apps', async () => {
  await same(
    'apps:info -a shop-%',
    'info shop-% --shell',
    'apps:info -a shop-% --json',
    'apps:info -a nope',
    'apps',
    'apps --json',
    'apps -A',
    'apps -t nope',
    'apps --foo',
    'apps:create other-% --no-remote',
    'create Wrong_Name --no-remote',
    'apps:create third-% --stack heroku-24 --region us --no-remote',
    'apps:create fourth-% --no-remote --buildpack heroku/nodejs',
    'apps:create fifth-% --no-remote --json',
  )
  await differ(
    'apps:rename renamed-% -a other-%',
    'there is no certificate of Heroku’s to wait for',
    /^http:\/\/renamed-bb\.\S+ \| https:\/\/\S+\/renamed-bb\.git\nRenaming other-bb to renamed-bb\.\.\. done\n.*update git remotes/,
  )
  await same(
    'apps:rename -a renamed-%',
    'apps:destroy -a renamed-% --confirm wrong',
    'apps:destroy -a renamed-% --confirm renamed-%',
    'destroy fifth-% --confirm fifth-%',
    'apps:destroy -a nope --confirm nope',
    'apps:stacks -a shop-%',
    'stack:set container -a third-%',
    'stack:set cedar-14 -a third-%',
  )
})

test('config vars', async () => {
  await same(
    'config -a shop-%',
    'config:set A=1 "B=two words" -a shop-%',
    'config:set C= D=x=y -a shop-%',
    'config:set nonsense -a shop-%',
    'config:set -a shop-%',
    'config:set 1bad=2 -a shop-%',
    'config -a shop-%',
    'config -s -a shop-%',
    'config --json -a shop-%',
    'config:get A -a shop-%',
    'config:get A B NONE -s -a shop-%',
    'config:get A --json -a shop-%',
    'config:get A NONE --json -a shop-%',
    'config:get NONE -a shop-%',
    'config:get -a shop-%',
    'config:unset A D -a shop-%',
    'config:unset NONE -a shop-%',
    'config:unset -a shop-%',
    'config -a nope',
    'config',
  )
})

test('releases', async () => {
  await same(
    'releases -a shop-%',
    'releases -n 2 -a shop-%',
    'releases --json -n 1 -a shop-%',
    'releases:info -a shop-%',
    'releases:info v3 -a shop-%',
    'releases:info v3 --shell -a shop-%',
    'releases:info v3 --json -a shop-%',
    'releases:info v99 -a shop-%',
    'releases:output -a shop-%',
    'releases:rollback v3 -a shop-%',
    'rollback -a shop-%',
    'rollback v1 -a shop-%',
    'rollback v99 -a shop-%',
    'releases:retry -a shop-%',
    'releases -a shop-%',
    'rollback -a third-%',
  )
})

test('dynos', async () => {
  await same(
    'ps -a shop-%',
    'ps web -a shop-%',
    'ps nope -a shop-%',
    'ps --json -a shop-%',
    'ps:scale -a shop-%',
    'ps:scale web=2 worker+1 -a shop-%',
    'scale web=1:Standard-1X -a shop-%',
    'ps:scale nope=1 -a shop-%',
    'ps:scale web=9999 -a shop-%',
    'ps:scale -a third-%',
    'ps:restart -a shop-%',
    'ps:restart -d web.1 -a shop-%',
    'ps:restart -p web -a shop-%',
    'ps:restart -p web -d web.1 -a shop-%',
    'ps:restart -d nope.1 -a shop-%',
    'ps:stop -d web.1 -a shop-%',
    'ps:kill -p web -a shop-%',
    'ps:stop -a shop-%',
    'ps:type nope=Basic -a shop-%',
    'ps:type web=Enormous -a shop-%',
    'ps:wait -a shop-%',
    'run -a shop-%',
    'run:inside web.1 -a shop-%',
    'run:detached ls -a shop-%',
    'logs -a nope',
    'logs -p web -d web.1 -a shop-%',
  )
  await differ(
    'restart web.1 -a shop-%',
    'a dyno’s name is no worse for having no flag before it',
    /^Restarting dyno web\.1 on/,
  )
  const sizes = 'prices of Heroku’s mean nothing here'
  await differ('ps:type -a shop-%', sizes, /type +size +qty\n.*\n +web +Standard-1X +1\n +worker +Basic +\d\n[^$]*$/)
  await differ('ps:type web=Basic -a shop-%', sizes, /web +Basic +1\n[^$]*\nScaling dynos on shop-bb\.\.\. done/)
  await differ('ps:scale web=many -a shop-%', 'what is not understood is not left out', /web=many is no change/)
})

test('domains and certificates', async () => {
  for (const name of ['one', 'two'])
    await rig.execute('openssl', [
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj', `/CN=${name}.example.com`],
      ...['-keyout', `${name}.key`, '-out', `${name}.crt`],
    ])
  await same(
    'domains -a shop-%',
    'domains:add www-%.example.com -a shop-%',
    'domains -a shop-%',
    'domains --csv -a shop-%',
    'domains --columns "Domain Name" -a shop-%',
    'domains --filter "Domain Name=www" -a shop-%',
    'domains --filter "Domain Name=none" -a shop-%',
    'domains --filter nothing -a shop-%',
    'domains:add example-%.com --json -a shop-%',
    'domains:info www-%.example.com -a shop-%',
    'domains:info nope.example.com -a shop-%',
    'domains:wait -a shop-%',
    'domains:wait www-%.example.com -a shop-%',
    'certs -a shop-%',
    'certs:add one.crt two.key -a shop-%',
    'certs:add one.crt -a shop-%',
  )
  const hidden = 'who fails is told so by the mark as well'
  await differ(
    'domains:add www-%.example.com -a shop-%',
    hidden,
    /to shop-bb\.\.\. !\n.*is already a domain of this app/,
  )
  await differ('domains:add bad_name -a shop-%', hidden, /to shop-bb\.\.\. !\n.*is not a valid domain name/)
  await differ('domains:update www-%.example.com --cert nope -a shop-%', hidden, /\.\.\. !\n.*find that SNI endpoint/)
  await differ(
    'certs:add one.crt one.key -a shop-%',
    'nothing has to be waited for: a domain’s target is known at once',
    /^Certificate details:\n[^$]*self signed\.\nAdding SSL certificate to shop-bb\.\.\. done\n$/,
  )
  await same(
    'certs:info -a shop-%',
    'certs:info --name nope -a shop-%',
    'domains:update www-%.example.com -a shop-%',
    'certs:update two.crt two.key --confirm shop-% -a shop-%',
    'certs:update two.crt two.key --confirm wrong -a shop-%',
    'certs:remove --confirm shop-% -a shop-%',
    'certs:remove --confirm shop-% -a shop-%',
    'certs:auto -a shop-%',
    'certs:auto:enable -a shop-%',
    'certs:auto:disable --confirm shop-% -a shop-%',
    'domains:remove example-%.com -a shop-%',
    'domains:remove example-%.com -a shop-%',
  )
  const all = JSON.parse(await sluice('domains --json -a shop-bb'))
  assert.equal(
    all.map(({ hostname, kind }: { hostname: string; kind: string }) => [hostname, kind]),
    [
      ['shop-bb.localhost', 'heroku'],
      ['www-bb.example.com', 'custom'],
    ],
  )
  await same('domains:clear -a shop-%', 'domains -a shop-%')
})

test.run()
