import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { App } from '../../daemon/app/app.ts'
import { run } from '../../daemon/build/command.ts'
import { indexUrl, startPythonRig } from './package-index.ts'

const { rig, released, refused, configure, packages, read } = await startPythonRig()
test.after(() => rig.close())

const HOME = '/app/.heroku/python'
let app: App

test('an app gets the stack’s Python and what requirements.txt names, C code compiled, the index’s password nowhere', async () => {
  app = await rig.app()
  const { release, output } = await released(app, {
    '.python-version': '\ufeff# the version\r\n3.13 \r\n',
    'requirements.txt': '-r more/requirements.txt\nnative==1.0\n',
    'more/requirements.txt': 'greeting==1.0\n',
    'bin/post_compile': 'greet > greeting.txt; python -c "import native; print(native.answer())" >> greeting.txt\n',
  })
  for (const line of [
    /^-----> Python app detected$/m,
    /^-----> Running bin\/pre_compile hook$/m,
    /^-----> Using Python 3\.13 specified in \.python-version$/m,
    /^-----> Installing Python 3\.13\.\d+$/m,
    /^-----> Installing pip \d+\.\d+/m,
    /^-----> Installing dependencies using 'pip install -r requirements\.txt'$/m,
    /^ {7}Successfully installed greeting-1\.0 native-1\.0 wording-1\.0$/m,
    /^-----> Running bin\/post_compile hook$/m,
  ])
    assert.match(output, line)
  assert.is(await read(release, 'greeting.txt'), 'Hello 1.0\n42\n')
  assert.match(await read(release, '.heroku/python/bin/greet'), `#!${HOME}/bin/python`)
  assert.match(await read(release, '.heroku/python/pyvenv.cfg'), `home = ${HOME}/base/bin`)
  assert.not.match(output, /s3cret/)
  const kept = join(rig.d.config.data, 'cache', app.id)
  const found = await run('grep', ['-rlF', '--exclude=index.py', 's3cret', rig.tree(release), kept]).catch(() => '')
  assert.is(found, '', 'the password is not in the slug or in the cache')
})

test('what requirements.txt no longer names is gone, also when only a file that it takes in has changed', async () => {
  const files = { 'requirements.txt': '-r more/requirements.txt\nnative==1.0\n' }
  const { release, output } = await released(app, { ...files, 'more/requirements.txt': 'wording==1.0\n' })
  assert.match(output, /^-----> Using cached install of Python 3\.13\.\d+$/m)
  assert.match(output, /^-----> Discarding installed packages of the last build since requirements\.txt or the stack/m)
  assert.match(output, /^-----> Using cached pip \d+\.\d+/m)
  const installed = await packages(release)
  assert.ok(installed.includes('wording-1.0.dist-info'))
  assert.not(installed.some((name) => name.startsWith('greeting')))
})

test('unchanged requirements come from the cache', async () => {
  const files = {
    'requirements.txt': '-r more/requirements.txt\nnative==1.0\n',
    'more/requirements.txt': 'wording==1.0\n',
  }
  const { release, output } = await released(app, { ...files, 'other.txt': 'a change' })
  assert.match(output, /^-----> Restoring installed packages from the cache$/m)
  assert.not.match(output, /Successfully installed|already satisfied/)
  assert.ok((await packages(release)).includes('wording-1.0.dist-info'))
})

test('the app’s own PIP_INDEX_URL comes before the operator’s index', async () => {
  rig.d.config.pipIndex = 'http://127.0.0.1:9/simple'
  await configure(app, { PIP_RETRIES: '1' })
  const lost = await refused(app, { 'requirements.txt': 'greeting==1.0\n' })
  assert.match(lost, /^ ! {5}The package index cannot be reached\..*PIP_INDEX_URL.*SLUICE_PIP_INDEX/m)
  await configure(app, { PIP_INDEX_URL: indexUrl })
  const { release } = await released(app, { 'requirements.txt': 'greeting==1.0\n' })
  assert.ok((await packages(release)).includes('greeting-1.0.dist-info'))
  await configure(app, { PIP_INDEX_URL: null })
  const fresh = await refused(await rig.app(), { 'requirements.txt': '' })
  assert.match(
    fresh,
    /^ ! {5}No package index .* can be reached, or has pip:\n ! {5}http:\/\/127\.0\.0\.1:9\/simple: .*refused/m,
  )
  rig.d.config.pipIndex = indexUrl
})

test('an installation that fails says what mostly helps', async () => {
  const failing = (requirements: string) => refused(app, { 'requirements.txt': requirements })
  assert.match(
    await failing('no-such-package==1.0\n'),
    /^ ! {5}The index has no package of that name for Python 3\.13/m,
  )
  assert.match(await failing('wording==9.9\n'), /^ ! {5}The index has no such version for Python 3\.13\./m)
  assert.match(await failing('broken==1.0\n'), /^ ! {5}.*Aptfile and put heroku-community\/apt first\.$/m)
  const wrong = `wording==1.0 --hash=sha256:${'0'.repeat(64)}\n`
  assert.match(await failing(wrong), /^ ! {5}The index has other files than/m)
  assert.match(await failing('-r ./more/../requirements.txt\n'), /recursively references itself/)
  await configure(app, { PIP_INDEX_URL: indexUrl.replace('s3cret', 'wr0ng') })
  const output = await failing('greeting==2.0\n')
  assert.match(output, /^ ! {5}The package index wants a user and a password/m)
  assert.not.match(output, /wr0ng/)
})

test.run()
