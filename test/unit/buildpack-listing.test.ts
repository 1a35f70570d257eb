import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { listedBuildpacks, parseListing } from '../../daemon/build/buildpack/listing.ts'

let folder = ''
test.before.each(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-listing-'))
  mkdirSync(join(folder, 'source', 'below'), { recursive: true })
})
test.after.each(() => rmSync(folder, { recursive: true }))

/** The tar of what is in `source`, as git and as others write it. */
function pack(...what: string[]): string {
  const tar = join(folder, 'source.tar')
  execFileSync('tar', ['-C', join(folder, 'source'), '-cf', tar, ...what])
  return tar
}
const write = (name: string, text: string) => writeFileSync(join(folder, 'source', name), text)
const thrown = (work: () => unknown): string => {
  try {
    work()
    return ''
  } catch (error) {
    return String(error)
  }
}

test('one buildpack a line, in order, with their refs; blank lines, comments and line ends of Windows are fine', () => {
  assert.equal(
    parseListing('\uFEFFhttps://example.com/a.git#v1\r\n\n  # two\n heroku/nodejs \nhttps://example.com/b.tgz'),
    ['https://example.com/a.git#v1', 'heroku/nodejs', 'https://example.com/b.tgz'],
  )
  assert.equal(parseListing('\n# nothing\n'), [])
})

test('a line that names no buildpack is told of by its number', () => {
  assert.match(
    thrown(() => parseListing('heroku/nodejs\n\nfile:///etc\n')),
    /Line 3 of \.buildpacks: "file:\/\/\/etc" is neither/,
  )
})

test('it is read from the top of the source only, as a plain file', async () => {
  write('below/.buildpacks', 'heroku/nodejs')
  assert.equal(await listedBuildpacks(pack('.')), [])
  symlinkSync('below/.buildpacks', join(folder, 'source', '.buildpacks'))
  assert.equal(await listedBuildpacks(pack('.')), [])
  rmSync(join(folder, 'source', '.buildpacks'))
  write('.buildpacks', 'heroku/nodejs\n')
  assert.equal(await listedBuildpacks(pack('.')), ['heroku/nodejs'])
  assert.equal(await listedBuildpacks(pack('below', '.buildpacks')), ['heroku/nodejs'])
})

test('one that is too large is refused', async () => {
  write('.buildpacks', '#'.repeat(64 * 1024 + 1))
  assert.match(String(await listedBuildpacks(pack('.')).catch(String)), /\.buildpacks is larger than 64 KB/)
})

test.run()
