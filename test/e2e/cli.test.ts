import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Result } from '../cli/kept.ts'
import { execute, startPerson } from '../cli/sluice.ts'
import { interrupt, type Outcome } from './command.ts'
import { startPlatform } from './platform.ts'
import { sampleFiles, web } from './source.ts'
import { waitFor } from './wait.ts'

/** The official CLI, unmodified, through the life of one app: what a user reads and the exit code, command by command. */
const platform = await startPlatform()
test.after(() => platform.stop())

const app = 'crisp-morning'
const email = 'admin@sluice.localhost'
const worker = 'perl -e "sleep 1000"'
const source = await platform.prepare(() => platform.createSource(sampleFiles({ web, worker })))

/** Runs a command in the working copy and asserts that it succeeds; status lines are on stderr, results on stdout. */
async function heroku(line: string, options?: { env?: NodeJS.ProcessEnv; input?: string }): Promise<Outcome> {
  const words = line.split(' ')
  const outcome = await (options
    ? platform.cli(words, { cwd: source.dir, ...options })
    : platform.heroku(words, source.dir))
  assert.is(outcome.code, 0, `heroku ${line}: exit ${outcome.code}\n${outcome.output}`)
  return outcome
}

async function fails(line: string, code: number, words: RegExp): Promise<void> {
  const outcome = await platform.cli(line.split(' '), { cwd: source.dir })
  assert.is(outcome.code, code, outcome.output)
  assert.match(outcome.stderr, words)
}

const newest = async () => (await platform.releases(app)).length
const settle = async () => assert.is((await platform.settled(app, await newest())).status, 'succeeded')

test('auth:whoami', async () => assert.is((await heroku('auth:whoami')).stdout, `${email}\n`))

test('auth:whoami with a wrong token', async () => {
  const outcome = await platform.cli(['auth:whoami'], { env: { HEROKU_API_KEY: 'wrong' } })
  assert.is(outcome.code, 2, outcome.output)
  assert.match(outcome.stderr, /Invalid credentials provided/)
})

test('apps:create adds the git remote', async () => {
  const { stdout, stderr } = await heroku(`apps:create ${app}`)
  const git = `https://localhost:${platform.ports.api}/${app}.git`
  assert.is(stdout, `http://${app}.localhost:${platform.ports.http}/ | ${git}\n`)
  assert.is(stderr, `Creating ${app}... done\n`)
  assert.match((await platform.git(source.dir, 'remote', '-v')).stdout, `heroku\t${git} (push)`)
})

test('apps:create with a taken name', () => fails(`apps:create ${app}`, 2, /Name crisp-morning is already taken/))

test('git push heroku main', async () => {
  const { code, output } = await platform.git(source.dir, 'push', 'heroku', 'main')
  assert.is(code, 0, output)
  assert.match(output, /remote: -----> /)
  assert.match(output, /remote: {8}Released v2/)
  assert.match(output, new RegExp(`http://${app}\\.localhost:${platform.ports.http}/ deployed to `))
  assert.match(output, /main -> main/)
})

test('sluice login and git:clone: git alone clones and pushes from then on, with nothing but a home', async () => {
  const person = await startPerson({ GIT_TERMINAL_PROMPT: '0', GIT_CONFIG_NOSYSTEM: '1' })
  try {
    const ok = async (done: Promise<Result>) => {
      const { code, out, err } = await done
      assert.is(code, 0, `${out}${err}`)
      return `${out}${err}`
    }
    const login = ['login', `https://localhost:${platform.ports.api}`, '--token', '--ca', `${platform.data}/tls/ca.pem`]
    const input = await readFile(join(platform.data, 'admin.token'), 'utf8')
    assert.is(await ok(person.sluice(login, { input })), `Logged in as ${email}\n`)
    await ok(person.sluice(['git:clone', '-a', app, 'copy']))
    const copy = { env: person.env, cwd: join(person.home, 'copy') }
    assert.match(await ok(execute(['git', 'push', '--dry-run', 'heroku', 'main'], copy)), 'Everything up-to-date')
  } finally {
    await person.close()
  }
})

test('apps', async () => assert.match((await heroku('apps')).stdout, new RegExp(`^=== ${email} Apps\n\n${app}`)))

test('apps:info', async () => {
  const { stdout } = await heroku('apps:info')
  for (const line of [/^=== crisp-morning/, /Owner: +admin@sluice/, /Stack: +heroku-24/, /Dynos: +web: 1/])
    assert.match(stdout, line)
})

test('apps:info of an app that is not there', () => fails('apps:info --app nope', 2, /Couldn't find that app\./))

test('ps', async () => {
  const { stdout } = await heroku('ps')
  assert.match(stdout, /^=== web \(Basic\): perl server\.pl \(1\)\n\nweb\.1: up /)
})

test('config:set, config, config:get, config:unset', async () => {
  const set = await heroku('config:set COLOUR=blue SHAPE=round')
  assert.is(set.stderr, `Setting COLOUR, SHAPE and restarting ${app}... done, v3\n`)
  assert.match(set.stdout, /COLOUR: blue\nSHAPE: +round/)
  assert.match((await heroku('config')).stdout, /COLOUR: blue\nSHAPE: +round/)
  assert.is((await heroku('config:get COLOUR')).stdout, 'blue\n')
  assert.match((await heroku('config:unset SHAPE')).stderr, `Unsetting SHAPE and restarting ${app}... done, v4\n`)
  await settle()
  assert.is(JSON.parse((await platform.request(app, '/env')).body).COLOUR, 'blue')
})

test('config:edit', async () => {
  const editor = join(platform.data, 'editor.sh')
  await writeFile(editor, '#!/bin/sh\nprintf "\\nSIZE=large\\n" >> "$1"\n')
  await chmod(editor, 0o755)
  await heroku('config:edit', { env: { EDITOR: editor, VISUAL: editor }, input: 'y\n' })
  assert.is((await heroku('config:get SIZE')).stdout, 'large\n')
  await settle()
})

test('ps:scale', async () => {
  const { stderr } = await heroku('ps:scale web=2 worker=1')
  assert.is(stderr, 'Scaling dynos... done, now running web at 2:Basic, worker at 1:Basic\n')
  assert.is((await heroku('ps:scale')).stdout, 'web=2:Basic worker=1:Basic\n')
  await waitFor('three dynos to be up', async () => {
    const dynos = await platform.dynos(app)
    return dynos.length === 3 && dynos.every(({ state }) => state === 'up')
  })
  assert.match((await heroku('ps:scale web-1 worker=0')).stderr, /web at 1:Basic, worker at 0:Basic/)
  await fails('ps:scale nope=1', 2, /Couldn't find that process type \(nope\)\. This app has: web, worker\./)
})

test('ps:restart', async () => {
  assert.is((await heroku('ps:restart')).stderr, `Restarting all dynos on ${app}... done\n`)
  assert.match((await heroku('ps:restart --dyno-name web.1')).stderr, `Restarting dyno web.1 on ${app}... done\n`)
  assert.match((await heroku('ps:restart --process-type web')).stderr, /Restarting all web dynos on .*done/)
})

test('ps:stop', async () => {
  assert.match((await heroku('ps:stop --dyno-name web.1')).stderr, `Stopping dyno web.1 on ${app}... done\n`)
  await waitFor('the dyno to be back', async () => /^v1/.test((await platform.request(app)).body))
})

test('releases', async () => {
  const { stdout } = await heroku('releases')
  assert.match(stdout, /=== crisp-morning Releases - Current: v5/)
  assert.match(stdout, /v4 +Remove SHAPE config vars +admin@sluice\.localhost/)
  assert.match(stdout, /v2 +Deploy [0-9a-f]{8} +admin@sluice\.localhost/)
  assert.match(stdout, /v1 +Initial release/)
})

test('releases:info', async () => {
  const { stdout } = await heroku('releases:info v3')
  assert.match(stdout, /^=== Release v3\n/)
  assert.match(stdout, /Change: +Set COLOUR, SHAPE config vars/)
  assert.match(stdout, /COLOUR: blue\nSHAPE: +round/)
})

test('releases:output', async () => {
  assert.match((await heroku('releases:output v2')).stderr, /Release v2 has no release output available/)
  await source.version('v2', { web, release: 'echo the tables are made' })
  const { code, output } = await platform.push(source, app)
  assert.is(code, 0, output)
  assert.match((await heroku('releases:output')).stdout, /^the tables are made\n/m)
})

test('releases:rollback', async () => {
  const { stderr } = await heroku('releases:rollback v2')
  assert.match(stderr, new RegExp(`Rolling back ${app} to v2... done, v7`))
  await settle()
  assert.match((await platform.request(app)).body, /^v1 /)
  await fails('releases:rollback v1', 2, /Cannot roll back to v1/)
})

test('logs', async () => {
  const { stdout } = await heroku('logs --num 500')
  assert.match(stdout, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00 app\[web\.1\]: v1 listens on \d+$/m)
  for (const line of [
    /heroku\[web\.1\]: Starting process with command `perl server\.pl`$/m,
    /heroku\[web\.1\]: State changed from starting to up$/m,
    /heroku\[router\]: at=info method=GET path="\/" host=crisp-morning\.localhost.* status=200 /m,
    /app\[api\]: Set COLOUR, SHAPE config vars by user admin@sluice\.localhost$/m,
  ])
    assert.match(stdout, line)
  assert.not.match((await heroku('logs --source app')).stdout, /heroku\[/)
  const lines = (await heroku('logs --num 2 --dyno-name router')).stdout.trim().split('\n')
  assert.is(lines.length, 2)
  for (const line of lines) assert.match(line, /heroku\[router\]/)
})

test('logs --tail', async () => {
  const tail = platform.cli(['logs', '--tail', '--app', app])
  await waitFor('the tail to begin', () => tail.sofar() !== '')
  await platform.request(app, '/tailed')
  await waitFor('the request to be shown', () => tail.sofar().includes('path="/tailed"'))
  interrupt(tail)
  await tail
})

test('buildpacks, :set, :add, :remove, :clear', async () => {
  const static_ = 'https://github.com/heroku/heroku-buildpack-static.git'
  assert.match((await heroku('buildpacks')).stdout, /has no Buildpacks|heroku\/procfile|sluice\/procfile/)
  assert.match((await heroku('buildpacks:set heroku/nodejs')).stdout, /Next release on .* will use heroku\/nodejs\./)
  assert.match((await heroku(`buildpacks:add ${static_}`)).stdout, /1\. heroku\/nodejs\n +2\. https:\/\/github/)
  assert.match((await heroku('buildpacks')).stdout, /1\. heroku\/nodejs\n2\. https:\/\/github/)
  assert.match((await heroku(`buildpacks:remove ${static_}`)).stdout, /will use heroku\/nodejs/)
  assert.match((await heroku('buildpacks:clear')).stdout, /Buildpacks cleared\./)
})

test('domains, :add, :info, :remove, :clear', async () => {
  assert.match((await heroku('domains')).stdout, new RegExp(`=== ${app} Heroku Domain\n\n${app}\\.localhost`))
  const added = await heroku('domains:add www.example.com')
  assert.is(added.stderr, `Adding www.example.com to ${app}... done\n`)
  assert.match(added.stdout, `DNS Target ${app}.localhost`)
  assert.match((await heroku('domains')).stdout, /www\.example\.com/)
  assert.match((await heroku('domains:info www.example.com')).stdout, /hostname: +www\.example\.com/)
  assert.match((await heroku('domains:remove www.example.com')).stderr, /Removing www\.example\.com from .*done/)
  assert.match((await heroku('domains:clear')).stderr, /Removing all domains from .*done/)
})

test('stack, regions', async () => {
  assert.match((await heroku('stack')).stdout, /=== crisp-morning Available Stacks\n\n {2}container\n\* heroku-24/)
  assert.match((await heroku('regions')).stdout, /^ +us /m)
})

test('maintenance:on and :off', async () => {
  assert.is((await heroku('maintenance:on')).stderr, `Enabling maintenance mode for ${app}... done\n`)
  assert.is((await heroku('maintenance')).stdout, 'on\n')
  await waitFor('the maintenance page', async () => (await platform.request(app)).status === 503)
  assert.is((await heroku('maintenance:off')).stderr, `Disabling maintenance mode for ${app}... done\n`)
  await waitFor('the app to answer again', async () => (await platform.request(app)).status === 200)
})

test('access', async () => assert.match((await heroku('access')).stdout, /admin@sluice\.localhost +owner/))

test('git:remote', async () => {
  const { stdout } = await heroku(`git:remote --app ${app} --remote other`)
  assert.is(stdout, `set git remote other to https://localhost:${platform.ports.api}/${app}.git\n`)
})

test('apps:rename moves the address at once', async () => {
  const { stdout, stderr } = await heroku(`apps:rename bright-noon --app ${app}`)
  assert.match(stderr, `Renaming ${app} to bright-noon... done`)
  assert.match(stdout, `http://bright-noon.localhost:${platform.ports.http}/`)
  await waitFor('the new name to answer', async () => /^v1/.test((await platform.request('bright-noon')).body))
  await waitFor('the old name to be unknown', async () => (await platform.request(app)).status === 404)
})

test('apps:destroy', async () => {
  const { stderr } = await heroku('apps:destroy bright-noon --confirm bright-noon')
  assert.match(stderr, 'Destroying bright-noon (including all add-ons)... done')
  await waitFor('its address to be unknown', async () => (await platform.request('bright-noon')).status === 404)
  await waitFor('its containers to be gone', async () => (await platform.containers()).length === 0)
})

test.run()
