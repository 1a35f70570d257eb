import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { filesOf, indexFiles, indexUrl } from '../integration/package-index.ts'
import { startPlatform } from './platform.ts'

const platform = await startPlatform({ SLUICE_PIP_INDEX: indexUrl })
test.after(() => platform.stop())

const app = 'snake'

test('a Python app is pushed, serves, and runs commands with the stack’s Python and what it installed', async () => {
  await platform.prepare(async () => {
    await platform.createApp(app)
    await platform.heroku(['buildpacks:set', 'heroku-community/apt', '--app', app])
    await platform.heroku(['buildpacks:add', 'heroku/python', '--app', app])
  })
  const source = await platform.createSource({
    ...(await filesOf('python-hello')),
    ...(await indexFiles()),
    Aptfile: 'python3-pip-whl\n',
    'requirements.txt': 'greeting==1.0\n',
  })
  const { code, output } = await platform.push(source, app)
  assert.is(code, 0, output)
  assert.match(output, /remote: -----> Installing dependencies using 'pip install -r requirements\.txt'/)
  assert.match((await platform.request(app)).body, /^Hello from Python 3\.13\.\d+ in \/app\/\.heroku\/python\n$/)
  const run = async (...command: string[]) => {
    const { code, output, stdout } = await platform.cli(['run', '--app', app, '--', ...command])
    assert.is(code, 0, output)
    return stdout
  }
  assert.match(await run('python', '--version'), /^Python 3\.13\.\d+\n$/)
  assert.is(await run('greet'), 'Hello 1.0\n')
  // Every module of the standard library with C code finds its libraries in the run image.
  const modules =
    'import glob, importlib, sys; print(len([importlib.import_module(path.split("/")[-1].split(".")[0]) for path in glob.glob(sys.base_prefix + "/lib/*/lib-dynload/*.so")]) > 20)'
  assert.is(await run('python', '-c', modules), 'True\n')
  const names = [
    'PYTHONUNBUFFERED',
    'PYTHONPATH',
    'FORWARDED_ALLOW_IPS',
    'GUNICORN_CMD_ARGS',
    'DYNO_RAM',
    'WEB_CONCURRENCY',
  ]
  const values = await run('bash', '-c', names.map((name) => `echo "$${name}"`).join('; '))
  assert.is(values, 'true\n/app\n*\n--access-logfile -\n512\n2\n')
})

test.run()
