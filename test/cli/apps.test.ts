import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { delimiter, join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { packageRoot } from '../../daemon/config.ts'
import { createGit } from '../../daemon/git/git.ts'
import { ensureRepository } from '../../daemon/git/repository.ts'
import { ensureCertificates } from '../../daemon/route/certificate.ts'
import { type Rig, startRig } from './rig.ts'

const rig: Rig = await startRig()
const { heroku, refused, execute, host, home } = rig
test.after(() => rig.close())

const appRow = () => host.d.db.selectFrom('apps').selectAll().where('name', '=', 'demo').executeTakeFirstOrThrow()
await host.request('POST', '/apps', { body: { name: 'demo' } })
await host.deploy(await appRow(), { web: 'node server.js', worker: 'node worker.js' })

test('heroku apps:info tells of an app in a form for people, for shells and for programs', async () => {
  assert.match(await heroku('apps:info -a demo'), /Slug Size: +12 MB/)
  const shell = await heroku('apps:info -s -a demo')
  assert.match(shell, /^web_url=http:\/\/demo\.localhost:8080\/$/m)
  assert.match(shell, /^stack=heroku-24$/m)
  const json = JSON.parse(await heroku('apps:info -j -a demo'))
  assert.equal([json.app.name, json.dynos.length], ['demo', 1])
})

test('heroku apps:open opens the address that the routers serve the app at', async () => {
  assert.match(await heroku('apps:open /path -a demo'), 'Opening http://demo.localhost:8080/path...')
})

test('heroku config shows, sets, gets, edits and unsets config vars', async () => {
  assert.match(await heroku('config:set A=1 B=2 -a demo'), 'restarting demo... done, v3')
  assert.is(await heroku('config:get A -a demo'), '1\n')
  assert.match(await heroku('config -s -a demo'), /^A=1\nB=2$/m)
  const editor = join(home, 'editor')
  await writeFile(editor, '#!/bin/sh\nsed -i s/1/3/ "$1"\n', { mode: 0o755 })
  await heroku('config:edit A -a demo', { input: 'y\n', env: { EDITOR: editor } })
  assert.is(await heroku('config:get A -a demo'), '3\n')
  assert.match(await heroku('config:unset B -a demo'), 'done, v5')
  assert.match(await refused('config:unset -a demo'), 'Usage: heroku config:unset')
})

test('heroku ps:type shows and changes sizes; ps:wait waits until every dyno runs the newest release', async () => {
  assert.match(await heroku('ps:type -a demo'), /web +Basic +1/)
  assert.match(await heroku('ps:type web=Standard-2X -a demo'), /web +Standard-2X +1/)
  assert.match(await heroku('ps:resize web=Basic -a demo'), /web +Basic +1/)
  const { id } = await host.d.db.selectFrom('dynos').select('id').executeTakeFirstOrThrow()
  const become = (state: 'starting' | 'up') =>
    host.d.db.updateTable('dynos').set({ state }).where('id', '=', id).execute()
  await become('starting')
  const waited = await heroku('ps:wait -a demo', { hear: (text) => void (text.includes('0 / 1') && become('up')) })
  assert.match(waited, /Waiting for every dyno to be running v5\.\.\. 1 \/ 1, done/)
  assert.match(await refused('ps:type web=Enormous -a demo'), 'No such dyno size: Enormous. Choose one of: Eco, Basic,')
})

test('heroku maintenance is off, on and off again', async () => {
  assert.is(await heroku('maintenance -a demo'), 'off\n')
  assert.match(await heroku('maintenance:on -a demo'), 'Enabling maintenance mode for demo... done')
  assert.is(await heroku('maintenance -a demo'), 'on\n')
  assert.match(await heroku('maintenance:off -a demo'), 'Disabling maintenance mode for demo... done')
})

test('heroku drains adds, lists and removes', async () => {
  assert.match(await heroku('drains:add https://logs.example.com/in -a demo'), 'Successfully added drain https://logs')
  assert.match(await heroku('drains -a demo'), /https:\/\/logs\.example\.com\/in \(d\.[0-9a-f-]{36}\)/)
  assert.match(await heroku('drains:remove https://logs.example.com/in -a demo'), 'Successfully removed drain https')
  assert.match(await refused('drains:add ftp://example.com -a demo'), 'The URL is not valid')
})

test('heroku regions, version, version:info and status tell where one is', async () => {
  assert.match(await heroku('regions'), /us +This installation/)
  assert.match(await heroku('version'), /^heroku\/\d+\.\d+\.\d+ /)
  assert.match(await heroku('version:info'), /^## \d+\.\d+\.\d+ /)
  const status = await heroku('status', { env: { HEROKU_STATUS_HOST: host.url } })
  assert.match(status, /Apps: +No known issues at this time\.\nTools: +No known issues at this time\./)
})

test('heroku local runs what the Procfile says, on this machine', async () => {
  await writeFile(join(home, 'Procfile'), 'web: echo "hello from $NAME"\n')
  await writeFile(join(home, '.env'), 'NAME=local\n')
  assert.match(await heroku('local', { env: {} }), 'hello from local')
  assert.match(await heroku('local:run env', { env: {} }), /^NAME=local$/m)
  assert.match(await heroku('local:version'), /^\d+\.\d+\.\d+$/m)
})

test('heroku autocomplete, autocomplete:create, autocomplete:doctor, autocomplete:script and autocomplete:options complete names of apps', async () => {
  assert.match(await heroku('autocomplete bash'), 'Building the autocomplete cache... done')
  await heroku('autocomplete:create')
  assert.match(await heroku('autocomplete:doctor'), /bash commands cache +present/)
  assert.match(await heroku('autocomplete:script bash'), 'HEROKU_AC_BASH_SETUP_PATH=')
  assert.match(await heroku('autocomplete:options "heroku apps:info --app "'), /^demo$/m)
})

test('heroku git:remote names the app’s repository, git:credentials gives its password, git:clone fetches it', async () => {
  assert.match(
    await heroku('git:remote -a demo'),
    `set git remote heroku to https://${new URL(host.url).host}/demo.git`,
  )
  const tls = await ensureCertificates(host.d.config)
  const git = await createGit(host.d, () => Promise.reject(new Error('nothing is deployed here')))
  const server = createServer(tls, (req, res) => void git.handle(req, res))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const place = `localhost:${(server.address() as AddressInfo).port}`
  try {
    const repository = await ensureRepository(host.d.config.data, (await appRow()).id)
    const commit = [
      '-C',
      repository,
      '-c',
      'user.name=x',
      '-c',
      'user.email=x@example.com',
      'commit-tree',
      '-m',
      'first',
    ]
    const tree = (await execute('git', ['-C', repository, 'hash-object', '-t', 'tree', '-w', '/dev/null'])).out.trim()
    const { out } = await execute('git', [...commit, tree])
    await execute('git', ['-C', repository, 'update-ref', 'refs/heads/main', out.trim()])
    const env = {
      HEROKU_GIT_HOST: place,
      GIT_SSL_NO_VERIFY: '1',
      PATH: `${join(packageRoot, 'node_modules', '.bin')}${delimiter}${process.env.PATH}`,
    }
    const input = `protocol=https\nhost=${place}\n\n`
    assert.match(await heroku('git:credentials get', { env, input }), `username=heroku\npassword=${host.token}`)
    await heroku('git:clone -a demo', { env })
    assert.match(await readFile(join(home, 'demo', '.git', 'config'), 'utf8'), `url = https://${place}/demo.git`)
    assert.match((await execute('git', ['-C', join(home, 'demo'), 'log', '--format=%s', 'heroku/main'])).out, 'first')
  } finally {
    server.closeAllConnections()
    server.close()
    await git.close()
  }
})

test.run()
