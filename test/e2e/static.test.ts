import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { startPlatform } from './platform.ts'
import { waitFor } from './wait.ts'

const platform = await startPlatform()
test.after(() => platform.stop())

const sample = resolve(import.meta.dirname, '..', '..', '..', 'test', 'apps', 'static-site')
const files = Object.fromEntries(
  readdirSync(sample, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => [path.slice(sample.length + 1), readFileSync(path, 'utf8')]),
)
const get = (path: string, headers: Record<string, string> = {}) => platform.request('site', path, { headers })

await platform.prepare(async () => {
  await platform.createApp('site')
  await platform.api('PATCH', '/apps/site/config-vars', { DOCS_URL: '/docs/?a=1&b=$c' })
  const { code, output } = await platform.push(await platform.createSource(files), 'site')
  if (code !== 0) throw new Error(output)
})

test('pages are served at their clean URLs, with what their types need', async () => {
  const home = await get('/')
  assert.is(home.status, 200)
  assert.match(home.body, /<p>home/)
  assert.is(home.headers['content-type'], 'text/html; charset=utf-8')
  assert.is(home.headers['x-content-type-options'], 'nosniff')
  assert.is(home.headers['cache-control'], undefined)
  assert.match((await get('/about')).body, /<p>about/)
  assert.match((await get('/about?x=1')).body, /<p>about/)
  assert.match((await get('/docs/')).body, /<p>docs/)
  const folder = await get('/docs')
  assert.is(folder.status, 301)
  assert.is(folder.headers.location, '/docs/')
})

test('a single-page app is served below its route, and what is nowhere is the error page with 404', async () => {
  const inside = await get('/app/deep/link')
  assert.is(inside.status, 200)
  assert.match(inside.body, /<p>the app/)
  for (const path of ['/nowhere', '/assets/', '/.hidden', '/static.json', '/../static.json', '/%2e%2e/static.json']) {
    const gone = await get(path)
    assert.ok(gone.status === 404 || gone.status === 400, `${path}: ${gone.status}`)
    assert.not.match(gone.body, /secret|clean_urls/)
  }
  assert.match((await get('/nowhere')).body, /<p>nothing here/)
  assert.is((await get('/nowhere')).headers['x-content-type-options'], 'nosniff')
})

test('redirects go where static.json says, also by a config var', async () => {
  const old = await get('/old')
  assert.is(old.status, 302)
  assert.is(old.headers.location, '/about')
  assert.is((await get('/docs-of/anything/else')).headers.location, '/docs/?a=1&b=$c')
})

test('caches are told what they may do: validators, parts, HEAD, compression', async () => {
  const style = await get('/assets/site.css')
  assert.is(style.headers['cache-control'], 'public, max-age=31536000')
  assert.is(style.headers['x-content-type-options'], 'nosniff')
  const { etag = '', 'last-modified': modified = '' } = style.headers
  assert.is((await get('/assets/site.css', { 'if-none-match': etag })).status, 304)
  assert.is((await get('/assets/site.css', { 'if-modified-since': modified })).status, 304)
  const part = await get('/assets/site.css', { range: 'bytes=0-6' })
  assert.is(part.status, 206)
  assert.is(part.body, '.line-1')
  const head = await platform.request('site', '/assets/site.css', { method: 'HEAD' })
  assert.is(head.headers['content-length'], String(style.body.length))
  assert.is((await get('/assets/site.css', { 'accept-encoding': 'gzip' })).headers['content-encoding'], 'gzip')
  assert.is((await platform.request('site', '/', { method: 'POST' })).status, 405)
})

test('a request that is under way when its dyno is told to end is answered to its end', async () => {
  // All of the group get the signal, as in a dyno that is stopped; the client alone ignores it.
  const script = `head -c 30000000 /dev/zero > public/big
PORT=5001 bash .heroku/static/start > /dev/null & server=$!
until curl -so /dev/null localhost:5001; do sleep 0.1; done
trap : TERM
(trap '' TERM; curl -so got --limit-rate 15M localhost:5001/big; wc -c < got) & client=$!
until [ -s got ]; do sleep 0.1; done
kill -TERM 0
for job in $client $server; do until wait $job; do kill -0 $job 2> /dev/null || break; done; done
curl -s localhost:5001 || echo 'nobody listens any more'`
  await platform.api('POST', '/apps/site/dynos', { command: script, attach: false })
  const said = async () => (await platform.heroku(['logs', '--app', 'site', '--source', 'app'])).output
  await waitFor('the dyno to end', async () => (await said()).includes('nobody listens any more\n'))
  assert.match(await said(), /app\[run\.\d+\]: 30000000$/m)
})

test('a config var that is missing ends the dyno, and says which', async () => {
  await platform.createApp('lacking')
  const { code, output } = await platform.push(await platform.createSource(files), 'lacking')
  assert.is.not(code, 0)
  assert.match(output, /static\.json needs the config var DOCS_URL, which is not set\./)
})

test.run()
