import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { packageRoot } from '../../daemon/config.ts'
import { startPythonRig } from './package-index.ts'

const { rig, released, refused, configure } = await startPythonRig()
test.after(() => rig.close())

// One app, so that later builds find Python in its cache.
const app = await rig.app()

test('lock files of Pipenv, Poetry and uv are installed by pip, with their hashes, from the app’s index', async () => {
  const greeting = 'SUM(greeting-1.0-py3-none-any.whl)'
  const wording = 'SUM(wording-1.0-py3-none-any.whl)'
  const lines = [
    `greeting==1.0 --hash=sha256:${greeting} \\`,
    `    --hash=sha256:${'0'.repeat(64)}`,
    `wording==1.0 --hash=sha256:${wording}`,
  ]
  const lock = ['# lock', ...lines].join('\n')
  const installed = /^ {7}Successfully installed greeting-1\.0 wording-1\.0$/m

  const pipenv = await released(app, {
    'Pipfile.lock': JSON.stringify({
      _meta: { requires: { python_version: '3.13' }, sources: [{ name: 'pypi', url: 'https://pypi.org/simple' }] },
      default: {
        greeting: { hashes: [`sha256:${greeting}`], version: '==1.0', markers: "python_version >= '3.8'" },
        wording: { hashes: [`sha256:${wording}`], version: '==1.0' },
        native: { hashes: [], version: '==1.0', markers: "sys_platform == 'win32'" },
      },
      develop: { broken: { version: '==1.0' } },
    }),
  })
  assert.match(pipenv.output, /^-----> Using Python 3\.13 specified in Pipfile\.lock$/m)
  assert.match(pipenv.output, installed)

  const versions = await readFile(join(packageRoot, 'buildpacks', 'python', 'lib', 'lock.sh'), 'utf8')
  const version = (name: string) => new RegExp(`^${name}_version=(.*)$`, 'm').exec(versions)?.[1]
  const tools = `uv==${version('uv')} poetry==${version('poetry')} poetry-plugin-export==${version('poetry_export')}`
  const missing = await refused(app, { 'uv.lock': lock, 'pyproject.toml': '' })
  assert.match(missing, /^ ! {5}Error: Unable to install uv \S+, which reads uv\.lock\.$/m)
  await configure(app, { INDEX_TOOLS: tools })
  const uv = await released(app, { 'pyproject.toml': '[project]\nname = "a"\n', 'uv.lock': lock })
  assert.match(
    uv.output,
    /^ {7}asked: export --quiet --locked --no-default-groups --no-emit-project .*--output-file \S+$/m,
  )
  assert.match(uv.output, installed)
  const project = { 'pyproject.toml': '[tool.poetry]\npackage-mode = false\n' }
  const poetry = await released(app, { ...project, 'poetry.lock': lock })
  assert.match(poetry.output, /^ {7}asked: check --lock\n {7}asked: export --only main .*--output \S+$/m)
  assert.match(poetry.output, installed)
  const wrong = await refused(app, { ...project, 'poetry.lock': lock.replace(wording, '1'.repeat(64)) })
  assert.match(wrong, /^ ! {5}The index has other files/m)
})

test.run()
