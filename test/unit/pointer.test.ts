import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { isPointer, refusePointers } from '../../daemon/build/source/pointer.ts'

const oid = `oid sha256:${'0a'.repeat(32)}\n`
const version = 'version https://git-lfs.github.com/spec/v1\n'

test('a pointer begins with its version, has an object, and is short', () => {
  assert.ok(isPointer(`${version}${oid}size 12345\n`))
  assert.ok(isPointer(`${version}ext-0-foo sha256:${'b'.repeat(64)}\n${oid}size 1\n`))
  assert.not.ok(isPointer(version))
  assert.not.ok(isPointer(`${version}oid md5:123\nsize 1\n`))
  assert.not.ok(isPointer(`# ${version}${oid}size 1\n`))
  assert.not.ok(isPointer(`${version}${oid}size 1\n${'x'.repeat(1024)}`))
})

test('a source with pointers is refused, with some of their names and the way out, unless a buildpack is there for them', () => {
  refusePointers([], [])
  refusePointers(['a.png'], ['heroku/nodejs', 'https://github.com/example/heroku-buildpack-git-LFS'])
  const names = Array.from({ length: 7 }, (_, n) => `${n}.png`)
  assert.throws(
    () => refusePointers(names, ['heroku/nodejs']),
    /: 0\.png, 1\.png, 2\.png, 3\.png, 4\.png and 2 more\.\nCommit the files/,
  )
  assert.throws(() => refusePointers(['a.png'], []), /is not here: a\.png\./)
})

test.run()
