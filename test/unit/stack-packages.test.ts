import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { packagesFor, parsePackages, readPackages } from '../../buildpacks/stack/packages.ts'

const halves = ['run', 'build'] as const

test('every line of the package lists is a package name, alone, with its name in Debian, or with a dash', async () => {
  for (const half of halves)
    for (const { heroku, debian } of await readPackages(half))
      for (const name of [heroku, debian ?? 'none']) assert.match(name, /^[a-z0-9][a-z0-9+.-]+$/)
})

test('a list names each package of Heroku once, in order', async () => {
  for (const half of halves) {
    const names = (await readPackages(half)).map(({ heroku }) => heroku)
    assert.equal(names, [...new Set(names)].sort())
  }
})

test('what buildpacks count on at build time is asked for by name', async () => {
  const asked = new Set([...(await packagesFor('run')), ...(await packagesFor('build'))])
  for (const name of ['curl', 'tar', 'zstd', 'jq', 'git', 'python3', 'unzip', 'xz-utils', 'build-essential', 'locales'])
    assert.ok(asked.has(name), name)
})

test('no package of the build image is asked for twice', async () => {
  const run = new Set(await packagesFor('run'))
  assert.equal(
    (await packagesFor('build')).filter((name) => run.has(name)),
    ['jq'],
  )
})

test('two names of Heroku may be one package of Debian, and some have none', () => {
  assert.equal(parsePackages('# why\n\na b\nc -\nd\n'), [
    { heroku: 'a', debian: 'b' },
    { heroku: 'c', debian: null },
    { heroku: 'd', debian: 'd' },
  ])
  assert.throws(() => parsePackages('a b c'), /more than two words/)
})

test.run()
