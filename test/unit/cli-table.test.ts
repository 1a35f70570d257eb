import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { packageRoot } from '../../daemon/config.ts'
import { absent } from '../cli/absent.ts'
import { names, runBy, tableRows, whyAbsent } from '../cli/commands.ts'

/** `node dist/test/unit/cli-table.test.js --print` prints the table that belongs into daemon/api/README.md. */
if (process.argv.includes('--print')) {
  console.log(['| command | |', '|---|---|', ...tableRows()].join('\n'))
  process.exit()
}

test('each of the 352 commands of the official CLI works, or is absent for a reason', () => {
  assert.is(names.length, 352)
  const works = runBy()
  assert.equal(
    names.filter((name) => !works.has(name) && !whyAbsent(name)),
    [],
  )
})

test('nothing is listed as absent that a test runs, or that is no command', () => {
  const works = runBy()
  const listed = Object.values(absent).flat()
  assert.equal(
    listed.filter((name) => works.has(name)),
    [],
  )
  const topics = new Set(names.map((name) => name.split(':')[0]))
  assert.equal(
    listed.filter((name) => !names.includes(name) && !topics.has(name.replace(/:.*/, ''))),
    [],
  )
})

test('the table in the README is what the tests show', () => {
  const text = readFileSync(join(packageRoot, 'daemon', 'api', 'README.md'), 'utf8')
  const [, section = ''] = text.split('\n## The official CLI\n')
  const written = section
    .split(/\n## /)[0]
    ?.split('\n')
    .filter((line) => /^\| .*`/.test(line))
  assert.equal(written, tableRows(), 'print it with: node dist/test/unit/cli-table.test.js --print')
})

test.run()
