import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { alone, longest, scheduled, waiting } from '../schedule.ts'

const root = resolve(import.meta.dirname, '..', '..', '..')
const paths = (files: { path: string }[]): string[] => files.map(({ path }) => path)

test('every file that is named in the schedule is there', () => {
  assert.equal(
    [...Object.keys({ ...alone, ...waiting }), ...longest].filter((path) => !existsSync(join(root, path))),
    [],
  )
})

test('each test file is scheduled once: alone when it must be, as a third when it only waits, else beside another', () => {
  const { together, waiting: third, alone: single } = scheduled(root, [])
  const all = [...paths(together), ...paths(third), ...paths(single)]
  assert.is(new Set(all).size, all.length)
  assert.equal(paths(single).sort(), Object.keys(alone).sort())
  assert.equal(paths(third).sort(), Object.keys(waiting).sort())
  for (const path of ['test/unit/schedule.test.ts', 'test/e2e/a-release.test.ts'])
    assert.ok(paths(together).includes(path))
})

test('quick suites come first, and in each the files that take longest', () => {
  const all = paths(scheduled(root, []).together)
  const place = (path: string) => all.indexOf(path)
  assert.ok(place('test/unit/schedule.test.ts') < place('test/integration/git-push.test.ts'))
  assert.is(place('test/e2e/run.test.ts') + 1, place('test/e2e/l-lines.test.ts'))
  assert.ok(place('test/e2e/z-failed-release.test.ts') < place('test/e2e/a-certificate.test.ts'))
})

test('parts of paths choose', () => {
  const { together, waiting, alone } = scheduled(root, ['e2e/z-disk', 'unit/schedule', 'unit/drain-http'])
  assert.equal([together, waiting, alone].map(paths), [
    ['test/unit/schedule.test.ts'],
    ['test/unit/drain-http.test.ts'],
    ['test/e2e/z-disk.test.ts'],
  ])
})

test.run()
