import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { hasSecrets, parseBuildpack, publicBuildpack } from '../../daemon/app/buildpack-name.ts'
import { generateName, parseName } from '../../daemon/app/name.ts'
import { parseStack } from '../../daemon/app/stack.ts'

const UUID = '01234567-89ab-cdef-0123-456789abcdef'

test('an app name is 3 to 30 lowercase letters, digits and inner dashes, and starts with a letter', () => {
  for (const name of ['abc', 'a-1', 'a'.repeat(30), 'my-app-2']) assert.is(parseName(name), name)
  for (const name of [
    '',
    'ab',
    'a'.repeat(31),
    '1abc',
    'abc-',
    '-abc',
    'Abc',
    'a_b',
    'a.b',
    'ä-b',
    'abc\n',
    'a b',
    UUID,
    `a${UUID.slice(1)}`,
  ])
    assert.throws(() => parseName(name), /^Name must start with a letter/, name)
})

test('a generated name is a good name, and hardly ever comes twice', () => {
  const names = Array.from({ length: 500 }, generateName)
  for (const name of names) {
    assert.is(parseName(name), name)
    assert.match(name, /^[a-z]+-[a-z]+-\d{5}$/)
  }
  assert.ok(new Set(names).size > 495)
})

test('a buildpack is a URL, or a name in any of its forms', () => {
  for (const form of [
    'heroku/nodejs',
    'urn:buildpack:heroku/nodejs',
    'https://buildpack-registry.s3.amazonaws.com/buildpacks/heroku/nodejs.tgz',
    'https://codon-buildpacks.s3.amazonaws.com/buildpacks/heroku/nodejs.tgz',
    'https://buildpack-registry.s3.dualstack.us-east-1.amazonaws.com/buildpacks/heroku/nodejs.tgz',
  ])
    assert.is(parseBuildpack(form), 'heroku/nodejs')
  for (const url of [
    'https://github.com/heroku/heroku-buildpack-python',
    'https://example.com/a.git#v2',
    'https://example.com/b.tgz',
  ])
    assert.is(parseBuildpack(url), url)
})

test('what may be secret in the URL of a buildpack is not shown', () => {
  for (const [url, shown] of [
    ['heroku/nodejs', 'heroku/nodejs'],
    ['https://e.com/a.git#a/b', 'https://e.com/a.git#a/b'],
    ['https://me:pass@e.com/a.git#v2', 'https://e.com/a.git#v2'],
    ['https://e.com/a.tgz?signature=s3cret', 'https://e.com/a.tgz'],
  ] as const) {
    assert.is(publicBuildpack(url), shown)
    assert.is(hasSecrets(url), url !== shown)
  }
})

test('a buildpack that is neither a URL nor a name is refused', () => {
  for (const text of [
    '',
    'nodejs',
    'file:///etc/passwd',
    'javascript:1',
    'a b',
    '../x',
    'urn:buildpack:a/../b',
    'https://e.com/a b.git',
    `${'x'.repeat(101)}/y`,
    `https://e.com/${'x'.repeat(2000)}`,
  ])
    assert.throws(() => parseBuildpack(text), /neither the URL/, text)
})

test('a URL that a build could not fetch is refused when it is set', () => {
  for (const text of ['git://e.com/a.git', 'ssh://git@e.com/a.git', 'git@e.com:a.git'])
    assert.throws(() => parseBuildpack(text), /by https:/, text)
  assert.throws(() => parseBuildpack('https://user:50%@e.com/a.git'), /two hex digits/)
  assert.is(parseBuildpack('https://user:50%25@e.com/a.git'), 'https://user:50%25@e.com/a.git')
})

test('a foreign stack is refused with those there are', () => {
  assert.is(parseStack('heroku-24'), 'heroku-24')
  assert.throws(() => parseStack('cedar-14'), /Choose one of: heroku-24, heroku-26/)
})

test.run()
