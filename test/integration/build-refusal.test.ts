import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { limits } from '../../daemon/limits.ts'
import { startRig } from './build-rig.ts'
import { type Served, serveBuildpacks } from './buildpack-server.ts'

/** What a user reads of each build that comes to nothing, in the words of Heroku; the last line is always the same. */
const rig = await startRig()
let served: Served
test.before(async () => {
  served = await serveBuildpacks()
})
test.after(async () => {
  await served.close()
  await rig.close()
})

const bash = (script: string): string => `#!/usr/bin/env bash\n${script}\n`
const FITS = bash('echo Probe')
let packs = 0
const pack = (files: Record<string, string>): Promise<string> =>
  served.add(`pack-${packs++}`, { 'bin/detect': FITS, 'bin/compile': bash(''), ...files })

async function refused(files: Record<string, string>, source: Record<string, string> = { a: '' }): Promise<string> {
  const { release, output } = await rig.push(await rig.app([await pack(files)]), source)
  assert.is(release, undefined, output)
  assert.match(output, /^ ! {5}Push failed\n/m)
  return output
}

test('what detect says is shown as it is, its first line indented, with a blank line for its last line feed', async () => {
  const unfit = async (script: string) => {
    const output = await refused({ 'bin/detect': bash(`${script}; exit 1`) })
    return output.slice(output.indexOf('-----> App not')).replace(/http:\S+/, 'URL')
  }
  const head = '-----> App not compatible with buildpack: URL\n'
  const tail =
    '       More info: https://devcenter.heroku.com/articles/buildpacks#detection-failure\n\n !     Push failed\n'
  const shown = async (script: string) => {
    const output = await unfit(script)
    assert.ok(output.startsWith(head), output)
    return output.slice(head.length, output.indexOf(tail))
  }
  assert.is(await shown('echo out'), '')
  assert.is(await shown('echo "not me" >&2; echo "nor  you" >&2'), '       not me\nnor  you\n\n')
  assert.is(await shown('printf "\\n !     Error\\n\\n" >&2'), '       \n !     Error\n\n\n')
})

test('a compile that fails or is killed is told with the name of the language, after its own last words and no others', async () => {
  const output = await refused({
    'bin/detect': bash('echo "Node.js"; echo second line'),
    'bin/compile': bash('echo "because" >&2; printf "of this"; kill -KILL $$'),
  })
  assert.match(
    output,
    /^-----> Node\.js app detected\nbecause\nof this\n ! {5}Push rejected, failed to compile Node\.js app\.\n\n ! {5}Push failed\n/m,
  )
})

test('a bin/release that fails, or prints no YAML, fails the build', async () => {
  assert.match(
    await refused({ 'bin/release': bash('echo "no luck" >&2; exit 1') }),
    /^ ! {5}Push rejected, bin\/release of the Probe buildpack failed\.\n ! {5}no luck\n/m,
  )
  assert.match(
    await refused({ 'bin/release': bash('echo release') }),
    /^-----> Discovering process types\n ! {5}Push failed: failed to read buildpack metadata: \S/m,
  )
})

test('a Procfile that cannot be parsed fails the build and says why', async () => {
  assert.match(
    await refused({ 'bin/compile': bash('printf "web: \\xff\\n" > "$1/Procfile"') }),
    /^-----> Discovering process types\n ! {5}Push failed: cannot parse Procfile\.\n ! {5}It is not UTF-8 text\./m,
  )
  assert.match(
    await refused({}, { Procfile: 'run: x\n' }),
    /^ ! {5}Push failed: cannot parse Procfile\.\n.*one-off dynos/m,
  )
})

test('a slug that is too large is told with both figures', async () => {
  const most = limits.slugSize
  Object.assign(limits, { slugSize: 1024 * 1024 })
  try {
    assert.match(
      await refused({ 'bin/compile': bash('head -c 3000000 /dev/urandom > "$1/large"') }),
      /^-----> Compressing\.\.\.\n ! {5}Compiled slug size: 2\.9M is too large \(max is 1M\)\.\n ! {5}See: http\S+slug-size\n/m,
    )
  } finally {
    Object.assign(limits, { slugSize: most })
  }
})

test('a slug beyond the soft limit is warned of and released', async () => {
  const soft = limits.slugSoft
  Object.assign(limits, { slugSoft: 1024 * 1024 })
  try {
    const app = await rig.app([await pack({ 'bin/compile': bash('head -c 3000000 /dev/urandom > "$1/large"') })])
    const { release, output } = await rig.push(app, { a: '' })
    assert.ok(release, output)
    const warning = 'Warning: Your slug size \\(2 MB\\) exceeds our soft limit \\(1 MB\\) which may affect boot time\\.'
    assert.match(output, new RegExp(`^-----> Launching\\.\\.\\.\\n ! {5}${warning}\\n {7}Released v`, 'm'))
  } finally {
    Object.assign(limits, { slugSoft: soft })
  }
})

test('a build that takes too long is stopped, and the buildpack that was at work is named', async () => {
  const most = limits.buildTime
  Object.assign(limits, { buildTime: 3000 })
  try {
    const output = await refused({ 'bin/compile': bash('printf begun; sleep 600') })
    assert.match(
      output,
      /^begun\n-----> Timed out running buildpack Probe\n ! {5}The build took longer than \S+ minutes, so it was stopped\.\n ! {5}See https/m,
    )
  } finally {
    Object.assign(limits, { buildTime: most })
  }
})

test('an archive without bin/compile is no buildpack', async () => {
  const url = await served.addArchive('empty.tgz', { 'README.md': '' })
  const { output } = await rig.push(await rig.app([url]), { a: '' })
  assert.match(
    output,
    /^ ! {5}Push rejected\. The buildpack http:\S+empty\.tgz has no bin\/compile\.\n\n ! {5}Push failed\n/m,
  )
})

test('an empty source is no app, and one without process types is deployed all the same', async () => {
  const { output } = await rig.push(await rig.app(), {})
  assert.match(output, /^ ! {5}No default language could be detected for this app\.\n\t\t\tHINT: /m)
  const { release, output: told } = await rig.push(await rig.app([await pack({})]), {})
  assert.ok(release, told)
  assert.match(
    told,
    /^-----> Discovering process types\n {7}Procfile declares types -> \(none\)\n\n-----> Compressing/m,
  )
})

test.run()
