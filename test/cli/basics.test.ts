import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Rig, startRig } from './rig.ts'

const rig: Rig = await startRig()
const { heroku, refused, execute, host, home } = rig
test.after(() => rig.close())

const appRow = (name: string) =>
  host.d.db.selectFrom('apps').selectAll().where('name', '=', name).executeTakeFirstOrThrow()

test('heroku whoami, apps:create, apps and info tell of account and app', async () => {
  assert.match(await heroku('auth:whoami'), /^admin@example\.com$/m)
  const created = await heroku('apps:create demo')
  assert.match(created, 'Creating demo... done')
  assert.match(created, 'http://demo.localhost:8080/')
  assert.match(
    (await execute('git', ['remote', '-v'])).out,
    `heroku\t${host.url.replace('http:', 'https:')}/demo.git (push)`,
  )
  assert.match(await heroku('apps'), /^demo$/m)
  const info = await heroku('apps:info -a demo')
  assert.match(info, /Stack: +heroku-24/)
  assert.match(info, /Owner: +admin@example\.com/)
})

test('heroku config sets, shows, edits and unsets', async () => {
  assert.match(await heroku('config:set GREETING=hello OTHER=x -a demo'), 'restarting demo... done, v2')
  assert.match(await heroku('config:get GREETING -a demo'), /^hello$/m)
  const editor = join(home, 'editor')
  await writeFile(editor, '#!/bin/sh\nsed -i s/hello/goodbye/ "$1"\n', { mode: 0o755 })
  await heroku('config:edit GREETING -a demo', { input: 'y\n', env: { EDITOR: editor } })
  assert.match(await heroku('config -a demo'), /GREETING: +goodbye/)
  assert.match(await heroku('config:unset OTHER -a demo'), 'done, v4')
  assert.match(await refused('config:set 1X=y -a demo'), 'not a valid config var name')
})

test('heroku ps shows, scales, restarts and stops', async () => {
  await host.deploy(await appRow('demo'), { web: 'node server.js', worker: 'node worker.js', release: 'true' })
  assert.match(await heroku('ps -a demo'), /=== web \(Basic\): node server\.js \(1\)\s+web\.1: up /)
  const scaled = await heroku('ps:scale web=2 worker+1:Standard-2X -a demo')
  assert.match(scaled, 'now running web at 2:Basic, worker at 1:Standard-2X')
  assert.match(await heroku('ps:restart -a demo'), 'Restarting all dynos on demo... done')
  assert.match(await heroku('ps:stop -d web.1 -a demo'), 'Stopping dyno web.1 on demo... done')
  assert.match(await refused('ps:scale nope=1 -a demo'), /process type \(nope\)/)
})

test('heroku releases lists, shows, prints output of and rolls back', async () => {
  assert.match(await heroku('releases -a demo'), /v5 +Deploy aaaaaaaa/)
  assert.match(await heroku('releases:info v2 -a demo'), /Change: +Set GREETING, OTHER config vars/)
  const { id } = await host.d.db.selectFrom('releases').select('id').where('version', '=', 5).executeTakeFirstOrThrow()
  const transcript = await host.d.transcripts.open(`release-${id}`)
  transcript.write('migrated\n')
  await transcript.end()
  assert.match(await heroku('releases:output v5 -a demo'), 'migrated')
  assert.match(await heroku('releases:rollback v5 -a demo'), 'Rolling back demo to v5... done, v6')
  assert.match(await refused('releases:rollback v2 -a demo'), 'it has no code')
})

test('heroku logs shows what is there, and follows with --tail', async () => {
  const { id } = await appRow('demo')
  const say = (text: string) => host.d.logs.write(id, { at: Date.now(), source: 'app', dyno: 'web.1', text })
  say('first words')
  const logs = await heroku('logs -a demo')
  assert.match(logs, /app\[web\.1\]: first words/)
  assert.match(logs, 'app[api]: Scaled to web@2:Basic worker@1:Standard-2X by user admin@example.com')
  const hear = (text: string) => text.includes('first words') && say('last words')
  await heroku('logs --tail -a demo -d web', { hear, until: /last words/ })
})

test('heroku buildpacks sets, adds, removes and clears; an unknown name changes nothing', async () => {
  assert.match(await heroku('buildpacks:set heroku/nodejs -a demo'), 'will use heroku/nodejs.')
  assert.match(await heroku('buildpacks:add https://example.com/b.git -a demo'), '2. https://example.com/b.git')
  assert.match(await refused('buildpacks:add heroku/cobol -a demo'), 'heroku/cobol is not in the buildpack registry')
  await heroku('buildpacks:remove heroku/nodejs -a demo')
  assert.match(await heroku('buildpacks -a demo'), /^https:\/\/example\.com\/b\.git$/m)
  assert.match(await heroku('buildpacks:clear -a demo'), 'Buildpacks cleared.')
})

test('heroku domains, stack, regions, maintenance and access', async () => {
  assert.match(await heroku('domains:add www.example.com -a demo'), 'DNS Target demo.localhost')
  assert.match(await heroku('domains -a demo'), /www\.example\.com +CNAME +demo\.localhost/)
  assert.match(await heroku('domains:remove www.example.com -a demo'), 'Removing www.example.com from demo... done')
  const stack = await heroku('stack -a demo')
  assert.match(stack, '* heroku-24')
  assert.match(
    stack.replace(/[\s›]+/g, ' '),
    /heroku-24 means Sluice's own Debian images|heroku-24 and heroku-26 mean Sluice's own Debian images/,
  )
  assert.match(await heroku('regions'), /^ +us /m)
  assert.match(await heroku('maintenance:on -a demo'), 'Enabling maintenance mode for demo... done')
  assert.match(await heroku('maintenance:off -a demo'), 'Disabling maintenance mode for demo... done')
  assert.match(await heroku('access -a demo'), /admin@example\.com +owner/)
})

test('heroku apps:rename moves the git remote; apps:destroy removes app and remote', async () => {
  assert.match(await heroku('apps:rename renamed -a demo'), 'Renaming demo to renamed... done')
  assert.match((await execute('git', ['remote', '-v'])).out, '/renamed.git')
  await heroku('git:remote -a renamed')
  assert.match(await heroku('apps:destroy -a renamed --confirm renamed'), 'Destroying renamed')
  assert.match(await refused('apps:info -a renamed'), "Couldn't find that app. Error ID: not_found")
  assert.not.match(await readFile(join(home, '.git', 'config'), 'utf8'), 'renamed')
})

test.run()
