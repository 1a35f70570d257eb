import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseMetadata } from '../../daemon/build/buildpack/metadata.ts'

const read = (yaml: string) => parseMetadata(yaml)
const thrown = (yaml: string): string => {
  try {
    read(yaml)
    return ''
  } catch (error) {
    return String(error)
  }
}

test('a bin/release may print nothing, dashes, an empty mapping, with and without a header', () => {
  for (const yaml of ['', '\n', '---', '---\n', '--- {}\n', '--- \n...\n', 'addons: []\n', 'null', '# nothing'])
    assert.equal(read(yaml), { defaults: new Map(), configVars: {}, addons: [] }, yaml)
  const types = (yaml: string) => [...read(yaml).defaults]
  assert.equal(types('default_process_types:\n  web: "echo a: b"\n'), [['web', 'echo a: b']])
  assert.equal(types("---\ndefault_process_types: {'web': 'x', \"worker\": y}\n"), [
    ['web', 'x'],
    ['worker', 'y'],
  ])
})

test('entries that cannot be process types are left out', () => {
  const yaml = 'default_process_types: {web: x, worker: true, "a b": y, empty: "", none: , run: z, list: [a]}'
  assert.equal(
    [...read(yaml).defaults],
    [
      ['web', 'x'],
      ['worker', 'true'],
    ],
  )
  assert.equal([...read('default_process_types: [web]').defaults], [])
})

test('config vars and add-ons are read as Ruby writes them', () => {
  const { configVars, addons } = read(
    '---\naddons:\n- heroku-postgresql\nconfig_vars:\n  LANG: en_US.UTF-8\n  WORKERS: 5\n  DEBUG: false\n  NONE:\n  LIST: [a]\ndefault_process_types: {}\n',
  )
  assert.equal(configVars, { LANG: 'en_US.UTF-8', WORKERS: '5', DEBUG: 'false' })
  assert.equal(addons, ['heroku-postgresql'])
})

test('a config var that cannot be is refused', () => {
  for (const name of ['a b', '1A', '__proto__', 'X'.repeat(200)])
    assert.match(
      thrown(`config_vars: {"${name}": x}`),
      /failed to read buildpack metadata: .*not a valid config var name/,
    )
})

test('of two documents the first counts, of two equal keys the second', () => {
  assert.equal(
    [...read('default_process_types: {web: a}\n---\ndefault_process_types: {web: b}\n').defaults],
    [['web', 'a']],
  )
  assert.equal([...read('default_process_types: {web: a, web: b}').defaults], [['web', 'b']])
})

test('what is no YAML, or no mapping, is refused in the words of Heroku', () => {
  for (const yaml of ['release', '"text"', '- a', '7', '{{{', 'a: b: c', 'web: "x', '\tweb: x'])
    assert.match(
      thrown(yaml),
      /^UserError: Push failed: failed to read buildpack metadata: \S.*\nA bin\/release must/,
      yaml,
    )
})

test('a bomb of YAML aliases is refused', () => {
  const bomb = [
    'a: &a [x,x,x,x,x,x,x,x,x]',
    ...'bcdefghi'.split('').map((n, i) => `${n}: &${n} [${`*${'abcdefgh'[i]},`.repeat(9)}]`),
  ]
  assert.match(thrown(bomb.join('\n')), /failed to read buildpack metadata/)
})

test('more process types than an app may have are refused', () => {
  const many = Array.from({ length: 101 }, (_, n) => `  w${n}: x`)
  assert.match(thrown(`default_process_types:\n${many.join('\n')}`), /more than 100 process types/)
})

test('what is nested without end is not given to the parser', () => {
  assert.throws(() => parseMetadata('- '.repeat(8000)), /failed to read buildpack metadata: it is nested too deeply/)
})

test.run()
