import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { startRig } from './build-rig.ts'

const rig = await startRig()
test.after(() => rig.close())

const root = async (files: Record<string, string>): Promise<{ root?: string; output: string }> => {
  const { release, output } = await rig.push(await rig.app(), files)
  if (!release) return { output }
  const settings = JSON.parse(await readFile(join(rig.tree(release), '.heroku/static/static.json'), 'utf8'))
  return { root: settings.root, output }
}

test('a site needs no static.json: the first folder with an index.html is served, by nginx', async () => {
  const app = await rig.app()
  const { release, output } = await rig.push(app, { 'index.html': 'home', 'public/about.html': 'about' })
  if (!release) throw new Error(output)
  assert.match(output, /^-----> Static app detected$/m)
  assert.match(output, /^ {7}Serving the folder \.$/m)
  assert.match(output, /^ {7}nginx version: nginx\/1\.\d+/m)
  assert.match(output, /^ {7}Default types for Static -> web$/m)
  assert.ok((await rig.files(release)).includes('.heroku/static/nginx'))

  const again = await rig.push(app, { 'dist/index.html': 'home', 'index.txt': '' })
  assert.match(again.output, /^ {7}Serving the folder dist$/m)
})

test('static.json comes before what is found', async () => {
  const { root: served } = await root({ 'static.json': '{"root":"site"}', 'site/a.txt': '', 'public/index.html': '' })
  assert.is(served, 'site')
})

test('a static.json that cannot be used fails the build, with every reason', async () => {
  const { output } = await root({
    'static.json': JSON.stringify({
      ...{ root: '../secrets', clean_urls: 'yes', rotues: {}, error_page: '/x' },
      redirects: { old: { url: '/' }, '/a': { url: '/', status: 200 }, '/b': {} },
      headers: { '/': { 'X Y': 'z' } },
      routes: { '/**': { path: '../up' } },
      proxies: { '/api': { origin: 'http://other' } },
    }),
  })
  for (const reason of [
    'root must be a folder of the app.',
    'clean_urls, https_only and basic_auth must be true or false.',
    'error_page must be a file below the root.',
    'redirects: "old" must begin with a slash.',
    'redirects: the status of "/a" must be 301, 302, 303, 307 or 308.',
    'redirects: "/b" needs an url.',
    'headers: "/" has a header "X Y" that cannot be sent.',
    'routes: the file of "/**" must be one below the root.',
    'proxies: "/api" must begin and end with a slash.',
    '"rotues" is not known;',
  ])
    assert.ok(output.includes(` !     ${reason}`), `${reason}\n${output}`)
  assert.match(output, /^ ! {5}Push rejected, failed to compile Static app\.$/m)
})

test('a static.json that is no JSON is told', async () => {
  assert.match((await root({ 'static.json': '{"root": }' })).output, /^ ! {5}static\.json cannot be read:$/m)
  assert.match((await root({ 'static.json': '[]' })).output, /it must be an object/)
})

test('a folder that no build has made is told, with the way out', async () => {
  const { output } = await root({ 'static.json': '{"root":"dist"}' })
  assert.match(output, /^ ! {5}There is no folder dist to serve\.$/m)
  assert.match(output, /that buildpack must come before this one\.$/m)
})

test.run()
