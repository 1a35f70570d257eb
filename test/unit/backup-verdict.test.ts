import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { verdicts } from '../../daemon/backup/verdict.ts'
import { packageRoot } from '../../daemon/config.ts'

/** Whatever is put into the data folder is in a backup, or is not for a reason. */
const daemon = join(packageRoot, 'daemon')

const withoutVerdict = (names: Iterable<string>): string[] => [...new Set(names)].filter((name) => !(name in verdicts))

test('what code of the daemon has in the data folder has a verdict', () => {
  const found: string[] = []
  for (const path of readdirSync(daemon, { recursive: true, encoding: 'utf8' })) {
    if (!path.endsWith('.ts')) continue
    const text = readFileSync(join(daemon, path), 'utf8')
    for (const [, name = ''] of text.matchAll(/\bjoin\((?:\w+\.)*data, '([^'/]+)'/g)) found.push(name)
  }
  assert.ok(found.includes('seal.key') && found.includes('slugs') && found.length > 15)
  assert.equal(withoutVerdict(found), [])
})

test('what the README says of the data folder has a verdict', () => {
  const [, section = ''] = readFileSync(join(daemon, 'README.md'), 'utf8').split('## The data folder')
  const names = [...section.matchAll(/^\| (`.+?`) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([^`]+?)\/?`/g)].map(([, name = '']) => name),
  )
  assert.ok(names.length > 20)
  assert.equal(withoutVerdict(names), [])
})

test('each verdict says how or why', () => {
  for (const [name, verdict] of Object.entries(verdicts))
    assert.ok('kept' in verdict || verdict.left.split(' ').length > 2, name)
})

test.run()
