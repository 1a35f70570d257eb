import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
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

/** Lays out the files, applies the patterns, returns the files that are left. */
function left(patterns: string, files: string[], prepare: (source: string) => void = () => {}): string[] {
  const source = join(folder, 'source')
  for (const file of files) {
    mkdirSync(dirname(join(source, file)), { recursive: true })
    writeFileSync(join(source, file), '')
  }
  writeFileSync(join(source, '.slugignore'), patterns)
  prepare(source)
  const script = 'set -euo pipefail; source "$1/slugignore.sh"; remove_ignored "$2"'
  execFileSync('bash', ['-c', script, 'test', scripts, source])
  return files.filter((file) => existsSync(join(source, file)))
}

test('a pattern matches at any depth, with one that begins with a slash only at the top', () => {
  assert.equal(left('*.psd\n/docs\n', ['a.psd', 'x/y/b.psd', 'docs/a', 'x/docs/b', 'x/c']), ['x/docs/b', 'x/c'])
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

test('nothing outside of the source is removed, neither by dots nor through a symbolic link', () => {
  const outside = join(folder, 'outside')
  mkdirSync(outside)
  writeFileSync(join(outside, 'precious'), '')
  const link = (source: string) => symlinkSync(outside, join(source, 'link'))
  assert.equal(left('../outside/precious\n/../outside\nlink/precious\n/link/*\n..\n.\n', ['a'], link), ['a'])
  assert.equal(readdirSync(outside), ['precious'])
})

test('a symbolic link itself can be ignored', () => {
  symlinkSync(folder, join(folder, 'x'))
  left('link\n', ['a'], (source) => symlinkSync('/', join(source, 'link')))
  assert.not.ok(readdirSync(join(folder, 'source')).includes('link'))
})

test.run()
