import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { run } from '../../daemon/build/command.ts'
import { findSlug } from '../../daemon/build/slug/slug.ts'
import { sitePackages, startPythonRig } from './package-index.ts'

const { rig, released, refused, configure, packages, read } = await startPythonRig()
test.after(() => rig.close())

// One app, so that later builds find Python in its cache.
const app = await rig.app()

test('a version of Python that the stack does not have is refused with the ways out', async () => {
  const output = await refused(app, { 'requirements.txt': '', 'runtime.txt': 'python-3.12.4\n' })
  assert.match(output, /^ ! {5}Error: Python 3\.12\.4 \(asked for in runtime\.txt\) is not available\.$/m)
  assert.match(output, /^ ! {5}.*which is 3\.13\.\d+\.$/m)
  assert.match(output, /heroku buildpacks:set https:\/\/github\.com\/heroku\/heroku-buildpack-python$/m)
  const several = await refused(app, { 'requirements.txt': '', '.python-version': '3.13\n3.12\n' })
  assert.match(several, /^ ! {5}Error: Invalid Python version in \.python-version\.$/m)
  assert.match(several, /It says "3\.13, 3\.12", and must say one version only/)
  const bare = await refused(app, { 'requirements.txt': '', 'runtime.txt': '3.13\n' })
  assert.match(bare, /must say one version only, such as:\n ! {5}python-3\.13$/m)
})

test('a source without anything to install from is told what is looked for', async () => {
  const output = await refused(app, { 'app.py': '', 'Requirements.txt': '' })
  assert.match(output, /^ ! {5}Error: Couldn't find any supported Python package manager files\.$/m)
  assert.match(output, /^ ! {5}Requirements\.txt$/m)
  assert.match(await refused(app, { Pipfile: '' }), /^ ! {5}Error: No 'Pipfile\.lock' found!$/m)
})

test('a Django project gets its static files collected, unless told otherwise, and a web process', async () => {
  const files = {
    'requirements.txt': 'django\ngunicorn\n',
    'manage.py': 'import os, sys; print("Copying x"); print("asked", *sys.argv[1:], os.environ["GREETING"])\n',
    'mysite/wsgi.py': '',
  }
  await configure(app, { GREETING: 'hi' })
  const { release, output } = await released(app, files)
  assert.match(
    output,
    /^-----> \$ python manage\.py collectstatic --noinput\n {7}asked collectstatic --noinput --traceback hi$/m,
  )
  const slug = await findSlug(rig.d.db, app.id, String(release.slug_id))
  assert.equal(JSON.parse(slug.process_types), { web: 'gunicorn mysite.wsgi' })
  const broken = { ...files, 'manage.py': 'raise SystemExit("no settings")\n' }
  const failed = await refused(app, broken)
  assert.match(failed, /^ {7}no settings$\n\n ! {5}Error: Unable to generate Django static files\.$/m)
  await configure(app, { DISABLE_COLLECTSTATIC: '1' })
  const skipped = await released(app, broken)
  assert.match(
    skipped.output,
    /^-----> Skipping Django collectstatic since the env var DISABLE_COLLECTSTATIC is set\.$/m,
  )
})

test('a failing hook rejects the push', async () => {
  const output = await refused(app, { 'requirements.txt': '', 'bin/post_compile': 'echo the reason; exit 3' })
  assert.match(output, /^ {7}the reason$\n\n ! {5}Error: Failed to run the bin\/post_compile script\.$/m)
})

test('a package is installed in place, and its path is the one in dynos', async () => {
  const { release } = await released(app, {
    'setup.py':
      'from setuptools import setup\nsetup(name="own", version="1.0", py_modules=["own"], install_requires=["greeting"])\n',
    'own.py': '',
  })
  const installed = await packages(release)
  assert.ok(installed.includes('greeting-2.0.dist-info'))
  const link = installed.find((name) => /^__editable__.*_finder\.py$/.test(name))
  assert.ok(link, installed.join(' '))
  assert.match(await read(release, sitePackages + link), "'own': '/app/own")
  const folder = join(rig.tree(release), sitePackages)
  assert.is(await run('grep', ['-rlE', '--include=*.pth', '--include=*.py', '/tmp/build_', folder]).catch(() => ''), '')
})

test.run()
