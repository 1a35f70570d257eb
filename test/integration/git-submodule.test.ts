import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { serveBuildpacks } from './buildpack-server.ts'
import { type Copy, type Rig, startRig } from './git-rig.ts'

const served = await serveBuildpacks()
test.after(() => served.close())
const inner = await served.add('inner', { 'deep.js': 'deep' })
const library = await served.add('library', { 'index.js': 'library', '.gitattributes': '* export-ignore\n' })
await served.git('library', 'submodule', 'add', inner, 'parts/inner')
await served.git('library', 'commit', '-m', 'with a part')
const commit = (await served.git('library', 'rev-parse', 'HEAD')).trim()

let rig: Rig
let copy: Copy
test.before.each(async () => {
  rig = await startRig()
  copy = await rig.copy()
  await copy.git('remote', 'add', 'heroku', rig.url)
})
test.after.each(() => rig.close())

const push = () => copy.git('push', 'heroku', 'main')
const section = (url: string, path = 'vendor/library') => `[submodule "library"]\n\tpath = ${path}\n\turl = ${url}\n`

/** A commit that has the library at `path`, with this .gitmodules. */
async function link(modules: string | undefined, { at = commit, path = 'vendor/library' } = {}): Promise<void> {
  if (modules !== undefined) await writeFile(join(copy.path, '.gitmodules'), modules)
  if (modules !== undefined) await copy.git('add', '.gitmodules')
  await copy.git('update-index', '--add', '--cacheinfo', `160000,${at},${path}`)
  await copy.git('commit', '-q', '-m', 'submodule')
}

test('submodules reach the build with the rest, and theirs too; a second push asks nobody for them', async () => {
  await link(section(library))
  const { code, stderr } = await push()
  assert.is(code, 0, stderr)
  assert.match(stderr, /remote: Git submodules detected, installing:/)
  assert.match(stderr, `remote: Submodule 'library' (${library}) registered for path 'vendor/library'`)
  assert.match(stderr, `remote: Submodule path 'vendor/library': checked out '${commit}'`)
  const files = rig.deployed.at(-1)?.files ?? {}
  assert.is(files['vendor/library/index.js'], 'library')
  assert.is(files['vendor/library/parts/inner/deep.js'], 'deep')
  assert.is(files['vendor/library/.gitattributes'], '* export-ignore\n')
  assert.is(files['index.js'], 'hello')
  served.asked.length = 0
  await copy.git('commit', '-q', '--allow-empty', '-m', 'again')
  assert.is((await push()).code, 0)
  assert.is(rig.deployed.at(-1)?.files['vendor/library/index.js'], 'library')
  assert.equal(served.asked, [])
})

test('a submodule may have any name that a folder has', async () => {
  await link(section(inner, 'größe'), { at: (await served.git('inner', 'rev-parse', 'HEAD')).trim(), path: 'größe' })
  const { code, stderr } = await push()
  assert.is(code, 0, stderr)
  assert.is(rig.deployed.at(-1)?.files['größe/deep.js'], 'deep')
})

test('a submodule that cannot be had refuses the push, and says which and why', async () => {
  const secret = library.replace('http://', 'http://user:s3cret@')
  for (const [modules, why, at] of [
    [section(library, 'elsewhere'), /No submodule mapping found in \.gitmodules for path 'vendor\/library'/],
    [
      section('git@github.com:example/library.git'),
      /vendor\/library cannot be fetched: its URL in \.gitmodules must begin with https/,
    ],
    [section('../library.git'), /its URL in \.gitmodules must begin with https/],
    [section('file:///etc'), /its URL in \.gitmodules must begin with https/],
    [
      section('http://169.254.169.254/x.git'),
      /cannot be fetched: the address is not one that sources may be fetched from/,
    ],
    [section(`${library}x`), /cannot be fetched: there is no such repository/],
    [section(secret), /cannot be fetched: it has no branch, tag or commit "ffff/, 'f'.repeat(40)],
    ['[submodule "x"\n', /The \.gitmodules of this commit cannot be read/],
    ['#'.repeat(300_000), /The \.gitmodules of this commit cannot be read/],
  ] as const) {
    await link(modules, at === undefined ? {} : { at })
    const { code, stderr } = await push()
    assert.is(code, 1, stderr)
    assert.match(stderr, why)
    assert.match(stderr, /remote: {2}! {5}Push rejected, submodule install failed/)
    assert.not.match(stderr, 's3cret')
  }
  assert.not.match(rig.host.logged.join(''), 's3cret')
  assert.is(rig.deployed.length, 0)
})

test('without a .gitmodules the folder is empty, as on Heroku, and that is said', async () => {
  await link(undefined)
  const { code, stderr } = await push()
  assert.is(code, 0, stderr)
  assert.match(
    stderr,
    / ! {5}vendor\/library is a repository of its own, and no \.gitmodules says which, so it is an empty folder/,
  )
  assert.equal(Object.keys(rig.deployed.at(-1)?.files ?? {}).sort(), ['index.js', 'lib/deep.js'])
})

test('more submodules than are allowed are refused', async () => {
  await writeFile(join(copy.path, '.gitmodules'), '# none\n')
  await copy.git('add', '.gitmodules')
  const list = Array.from({ length: 101 }, (_, n) => ['--cacheinfo', `160000,${commit},m/${n}`]).flat()
  await copy.git('update-index', '--add', ...list)
  await copy.git('commit', '-q', '-m', 'many')
  assert.match((await push()).stderr, /This commit has 101 submodules; \d+ are allowed\./)
})

test.run()
