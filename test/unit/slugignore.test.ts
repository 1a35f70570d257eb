import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { scripts } from '../../daemon/build/slug/compile.ts'

let folder = ''
test.before.each(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-ignore-'))
})
test.after.each(() => rmSync(folder, { recursive: true }))

/** A PATH on which some tools are other scripts. */
function pathWith(tools: string[], script: (tool: string) => string): string {
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  for (const tool of tools) writeFileSync(join(bin, tool), `#!/bin/bash\n${script(tool)}\n`, { mode: 0o755 })
  return `${bin}:${process.env.PATH}`
}

interface Options {
  prepare?: (source: string) => void
  path?: string | undefined
}

/** Lays out the files, applies the patterns, returns the files that are left. */
function left(
  patterns: string,
  files: string[],
  { prepare = () => {}, path = process.env.PATH }: Options = {},
): string[] {
  const source = join(folder, 'source')
  for (const file of files) {
    mkdirSync(dirname(join(source, file)), { recursive: true })
    writeFileSync(join(source, file), '')
  }
  writeFileSync(join(source, '.slugignore'), patterns)
  prepare(source)
  const script = 'set -euo pipefail; source "$1/slugignore.sh"; remove_ignored "$2"'
  execFileSync('bash', ['--norc', '-c', script, 'test', scripts, source], { env: { ...process.env, PATH: path } })
  return files.filter((file) => existsSync(join(source, file)))
}

test('a pattern matches at any depth, with one that begins with a slash only at the top', () => {
  assert.equal(left('*.psd\n/docs\n', ['a.psd', 'x/y/b.psd', 'docs/a', 'x/docs/b', 'x/c']), ['x/docs/b', 'x/c'])
})

test('all can be ignored, but the folder of the build stays', () => {
  for (const pattern of ['/**', '**', '/*/**', '//', '/./'])
    assert.equal(left(`${pattern}\n`, ['.keep']), ['.keep'], pattern)
  assert.equal(left('/**\n', ['a', 'b/c', '.keep']), ['.keep'])
})

test('slashes at the end do not lead through a symbolic link', () => {
  const prepare = (source: string) => symlinkSync('kept', join(source, 'link'))
  assert.equal(left('link//\n/link///\ngone//\n', ['kept/a', 'gone/b'], { prepare }), ['kept/a'])
})

test('a folder goes with all that is in it, with or without a slash at the end', () => {
  assert.equal(left('test/\nspec\n', ['test/a/b', 'spec/c', 'lib/test/d', 'lib/e']), ['lib/e'])
})

test('blank lines, comments, line ends and byte order mark of Windows, and a missing final newline are fine', () => {
  assert.equal(left('# *\n\n  \na\r\nb', ['a', 'b', 'c']), ['c'])
  assert.equal(left('\uFEFFa\nb', ['a', 'b', 'c']), ['c'])
})

test('there is no negation, and a star matches no dot file', () => {
  assert.equal(left('*.md\n!keep.md\n', ['keep.md', '.env']), ['.env'])
})

test('names with spaces and globs are one pattern', () => {
  assert.equal(left('my file?.txt\n', ['my file1.txt', 'my', 'file2.txt']), ['my', 'file2.txt'])
})

test('many files are removed together: a process for each would take minutes', () => {
  const path = pathWith(['rm', 'dirname'], (tool) => `echo >> "${folder}/calls"; exec /usr/bin/${tool} "$@"`)
  const files = Array.from({ length: 300 }, (_, n) => `${n % 10}/${n}.log`)
  assert.equal(left('*.log\n', [...files, 'a'], { path }), ['a'])
  assert.ok(readFileSync(join(folder, 'calls'), 'utf8').length < 10)
})

test('what cannot be removed does not end the build', () => {
  const path = pathWith(['rm'], () => 'exit 1')
  assert.equal(left('a\nb\n', ['a', 'b'], { path }), ['a', 'b'])
})

test('line feeds and dashes in names are nothing special', () => {
  assert.equal(left('*.log\n', ['line\n/-x.log', '-a.log', 'line/x']), ['line/x'])
})

test('nothing outside of the source is removed, neither by dots nor through a symbolic link', () => {
  const outside = join(folder, 'outside')
  mkdirSync(outside)
  writeFileSync(join(outside, 'precious'), '')
  const link = (source: string) => symlinkSync(outside, join(source, 'link'))
  assert.equal(left('../outside/precious\n/../outside\nlink/precious\n/link/*\n..\n.\n', ['a'], { prepare: link }), [
    'a',
  ])
  assert.equal(readdirSync(outside), ['precious'])
})

test('a symbolic link itself can be ignored', () => {
  symlinkSync(folder, join(folder, 'x'))
  left('link\n', ['a'], { prepare: (source) => symlinkSync('/', join(source, 'link')) })
  assert.not.ok(readdirSync(join(folder, 'source')).includes('link'))
})

test.run()
