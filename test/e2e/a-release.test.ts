import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { nodeApp } from './node-app.ts'
import { startPlatform } from './platform.ts'
import { refused } from './refused.ts'
import { sampleFiles } from './source.ts'
import { waitFor } from './wait.ts'

const platform = await startPlatform()
test.after(() => platform.stop())

const described = async (app: string) =>
  (await platform.releases(app)).map(({ version, description, status }) => `v${version} ${description} ${status}`)
const setConfig = (app: string, vars: Record<string, string | null>) =>
  platform.api<Record<string, string>>('PATCH', `/apps/${app}/config-vars`, vars)
const rollBack = (app: string, release: number) =>
  platform.api<{ version: number }>('POST', `/apps/${app}/releases`, { release: String(release) })
const environment = async (app: string): Promise<Record<string, string>> =>
  JSON.parse((await platform.request(app, '/env')).body)

test('A1: a new app has v1 without code, and its address shows a page, not a bad gateway', async () => {
  await platform.createApp('blank')
  assert.equal(await described('blank'), ['v1 Initial release succeeded'])
  const page = await platform.request('blank', '/', { headers: { accept: 'text/html' } })
  assert.not.ok([500, 502].includes(page.status), `${page.status}`)
  assert.match(page.body, /<html/i)
})

test('A1: an unknown host is told that there is no such app', async () => {
  const page = await platform.request('no-such-app-anywhere')
  assert.is(page.status, 404)
  assert.match(page.body, /no such app/i)
})

test('A2: a pushed Node.js app is v2, answers with its own text, and ps shows web.1 up', async () => {
  await platform.createApp('node-app')
  const source = await platform.createSource(nodeApp('hello from node'))
  const { code, output } = await platform.push(source, 'node-app')
  assert.is(code, 0, output)
  for (const line of [/-----> Node\.js app detected/, /-----> Compressing/, /-----> Launching/, /Released v2/])
    assert.match(output, line)
  assert.match(output, new RegExp(`http://node-app\\.localhost:${platform.ports.http}/`))
  assert.match(output, /Verifying deploy\.\.\. done\./)
  assert.is((await platform.request('node-app')).body, 'hello from node\n')
  assert.equal(
    (await platform.dynos('node-app')).map(({ name, state }) => `${name} ${state}`),
    ['web.1 up'],
  )
})

test('A3: an empty commit makes a release, the same commit again does not', async () => {
  const source = await platform.deploy('empty-commit')
  await source.commit({})
  const { code, output } = await platform.push(source, 'empty-commit')
  assert.is(code, 0, output)
  assert.match(output, /Reusing slug of v2/)
  assert.is((await platform.releases('empty-commit')).length, 3)
  const again = await platform.push(source, 'empty-commit')
  assert.is(again.code, 0, again.output)
  assert.match(again.output, /Everything up-to-date/)
  assert.is((await platform.releases('empty-commit')).length, 3)
})

const awkward = {
  MULTIBYTE: 'Grüße, 世界 🚀',
  LINES: 'first\nsecond\n\nfourth\n',
  BLANKS: '  two before, two after  ',
  DOUBLE: 'say "hello"',
  SINGLE: "it's",
  DOLLAR: '$HOME $PATH $(id)',
  BACKSLASH: 'C:\\new\\table\\\\',
  BACKTICK: '`id`',
  EMPTY: '',
  ALL: '"\'$HOME\\`\n=é',
}

test('A4: config vars arrive byte for byte, in the dyno and in the build', async () => {
  await platform.createApp('exact')
  assert.equal(await setConfig('exact', awkward), awkward)
  const { code, output } = await platform.push(await platform.createSource(nodeApp('exact')), 'exact')
  assert.is(code, 0, output)
  const built = JSON.parse((await platform.request('exact', '/build')).body)
  for (const [name, value] of Object.entries(awkward)) assert.is(built[name], value, `${name} in the build`)
  const sample = await platform.createSource(sampleFiles())
  await platform.createApp('exact-dyno')
  await setConfig('exact-dyno', awkward)
  assert.is((await platform.push(sample, 'exact-dyno')).code, 0)
  const seen = await environment('exact-dyno')
  for (const [name, value] of Object.entries(awkward)) assert.is(seen[name], value, `${name} in the dyno`)
})

test('A5: several vars at once are one release; unsetting an unknown one is none', async () => {
  await platform.createApp('vars')
  await setConfig('vars', { A: '1', B: '2', C: '3' })
  await setConfig('vars', { UNKNOWN: null })
  assert.equal(await described('vars'), ['v1 Initial release succeeded', 'v2 Set A, B, C config vars succeeded'])
})

test('A6: config vars before the first build make a release and start nothing', async () => {
  await platform.createApp('early')
  await setConfig('early', { A: '1' })
  assert.equal(await described('early'), ['v1 Initial release succeeded', 'v2 Set A config vars succeeded'])
  assert.equal(await platform.dynos('early'), [])
})

test('A7: a rollback brings back code and config, and the next change builds on it', async () => {
  const source = await platform.deploy('rolled')
  await setConfig('rolled', { FROM_V3: 'x' })
  assert.is((await platform.settled('rolled', 3)).status, 'succeeded')
  await source.version('v2')
  assert.is((await platform.push(source, 'rolled')).code, 0)
  assert.match((await platform.request('rolled')).body, /^v2 /)

  const { version } = await rollBack('rolled', 2)
  assert.is(version, 5)
  const release = await platform.settled('rolled', 5)
  assert.equal([release.status, release.description], ['succeeded', 'Rollback to v2'])
  assert.match((await platform.request('rolled')).body, /^v1 /)
  assert.is((await environment('rolled')).FROM_V3, undefined)

  assert.equal(await setConfig('rolled', { X: '1' }), { X: '1' })
  assert.is((await platform.settled('rolled', 6)).status, 'succeeded')
  const seen = await waitFor('the new config to be served', async () => {
    const seen = await environment('rolled')
    return seen.X === '1' && seen
  })
  assert.is(seen.FROM_V3, undefined)
})

test('A8: a rollback to a release without code, or to one that failed, is refused and changes nothing', async () => {
  const source = await platform.deploy('refusing')
  await source.version('v2', { web: 'BOOT=exit perl server.pl' })
  assert.is.not((await platform.push(source, 'refusing')).code, 0)
  const before = await described('refusing')
  assert.match(before.at(-1) ?? '', /^v3 .* failed$/)
  await refused(rollBack('refusing', 1), 422, /no code/)
  await refused(rollBack('refusing', 3), 422, /failed/)
  await refused(rollBack('refusing', 99), 404, /release/i)
  assert.equal(await described('refusing'), before)
  assert.match((await platform.request('refusing')).body, /^v1 /)
})

test.run()
