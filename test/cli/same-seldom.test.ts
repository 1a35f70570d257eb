import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { startTwins } from './twins.ts'

/** What `sluice` does as the official CLI does: what is wanted seldom. */
const twins = await startTwins()
const { same, call, rig } = twins
const { host, home } = rig
test.after(() => twins.close())

for (const name of ['shop-aa', 'shop-bb', 'shop-next-aa', 'shop-next-bb'])
  await host.request('POST', '/apps', { body: { name } })

test('OAuth clients and a second factor', async () => {
  await same(
    'clients',
    'clients:create Amazing-% https://amazing.example.com/callback --json',
    'clients:create Amazing-% http://amazing.example.com/callback',
    'clients:create Amazing-%',
    'clients:create',
    'clients',
    'clients --json',
    'auth:2fa',
    'twofactor',
  )
  const { json } = await host.request('GET', '/oauth/clients')
  const made = (wanted: string) => json.find(({ name }: { name: string }) => name === wanted)?.id ?? ''
  call('client', made('Amazing-aa'), made('Amazing-bb'))
  await same(
    'clients:info {client}',
    'clients:info {client} --json',
    'clients:info nope',
    'clients:update {client}',
    'clients:update {client} -n Better-% --url https://better.example.com',
    'clients:update {client} --url ftp://better.example.com',
    'clients:rotate {client}',
    'clients:info {client} --shell',
    'clients:destroy {client}',
    'clients:destroy {client}',
  )
})

test('the names of buildpacks', async () => {
  await same(
    'buildpacks:search node',
    'buildpacks:search --namespace heroku --name nodejs,python',
    'buildpacks:search --description nothing-of-the-kind',
    'buildpacks:search',
    'buildpacks:info heroku/nodejs',
    'buildpacks:info heroku/nodejs --json',
    'buildpacks:info heroku/nope',
    'buildpacks:info nope',
    'buildpacks:versions heroku/nodejs',
    'buildpacks:versions heroku/nope',
    'buildpacks:versions nope',
  )
})

test('a key and a request for a certificate', async () => {
  await same(
    'certs:generate www-%.example.com --now -a shop-%',
    'certs:generate www-%.example.com --owner "A B" --country DE --selfsigned -a shop-%',
    'certs:generate www-%.example.com --subject /CN=other.example.com --keysize 3072 -a shop-%',
    'certs:generate -a shop-%',
  )
  // the official CLI takes the slash for the end of a name
  await twins.sluice('certs:generate own.example.com --owner "A / B" --country DE --selfsigned -a shop-bb')
  const subject = async (kind: string, file: string) =>
    (await rig.execute('openssl', [kind, '-in', file, '-noout', '-subject', '-nameopt', 'RFC2253'])).out
  assert.match(await subject('x509', 'own.example.com.crt'), /CN=own\.example\.com,O=A \/ B,C=DE/)
  assert.match(await subject('req', 'www-bb.example.com.csr'), /CN=other\.example\.com/)
  const { code, err } = await twins.run('certs:generate own.example.com --now --keysize 1 -a shop-bb')
  assert.is(code, 1)
  assert.match(err, /Error: Non zero openssl error 1/)
})

test('CI config vars, review apps and what differs between two apps', async () => {
  await same(
    'pipelines:create ci-% -s staging -a shop-next-%',
    'ci:config -p ci-%',
    'ci:config:set NODE_ENV=test A=b -p ci-%',
    'ci:config:set nonsense -p ci-%',
    'ci:config:set -p ci-%',
    'ci:config:get NODE_ENV -a shop-next-%',
    'ci:config:get NODE_ENV -s -p ci-%',
    'ci:config:get NONE -p ci-%',
    'ci:config -a shop-next-%',
    'ci:config --json -p ci-%',
    'ci:config --shell -p ci-%',
    'ci:config:unset NODE_ENV -p ci-%',
    'ci:config:unset -p ci-%',
    'ci:config -p nope',
    'ci:config:set A=b -p nope',
    'ci:config',
    'ci:config:get A',
    'ci:config:set',
    'ci:config:set A=b',
    'ci:config:unset A',
    'ci:config:set A=b -p ci-% -a shop-%',
    'reviewapps:enable -p ci-%',
    'reviewapps:enable -p ci-% --autodestroy -a shop-%',
    'reviewapps:enable -p ci-% --autodeploy',
    'reviewapps:enable',
    'reviewapps:disable -p ci-% --no-autodeploy --no-autodestroy --no-wait-for-ci',
    'reviewapps:disable -p ci-%',
    'reviewapps:create -p ci-% -b absent',
    'reviewapps:create',
    'reviewapps:wait shop-%',
    'pipelines:diff -a shop-%',
    'pipelines:diff -a shop-next-%',
    'config:set LONG=0123456789012345678901234567890123456789012345678901234567890 -a shop-%',
    'buildpacks:set heroku/nodejs -a shop-%',
    'apps:diff shop-% shop-next-%',
    'apps:diff shop-% nope',
    'pipelines:destroy ci-%',
  )
})

test('an app by a heroku.yml', async () => {
  await writeFile(join(home, 'heroku.yml'), 'setup:\n  config:\n    GREETING: hello\n    PORTS: "8080"\nbuild: {}\n')
  await same(
    'apps:create by-file-% --manifest --no-remote',
    'config -a by-file-%',
    'apps:stacks -a by-file-%',
    'apps:transfer sluice --bulk --nope',
  )
  await writeFile(join(home, 'heroku.yml'), 'setup:\n  addons:\n    - plan: heroku-postgresql\n')
  const { code, err } = await twins.run('create never -m')
  assert.is(code, 1)
  assert.match(err, /no add-ons on this platform\. Remove setup\.addons/)
  assert.is((await host.request('GET', '/apps/never')).status, 404)
  assert.match((await twins.run('apps:transfer sluice --bulk')).err, /no terminal to choose apps at/)
})

test.run()
