import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'

const root = resolve(import.meta.dirname, '..', '..', '..')

/** Every bash script of ours: the buildpacks' are run on strangers' files, the set-up's as root. */
const scripts = execFileSync('git', [
  '-C',
  root,
  'ls-files',
  '-co',
  '--exclude-standard',
  'buildpacks',
  'systemd',
  'test',
])
  .toString()
  .split('\n')
  .filter((path) => path.endsWith('.sh') || (/\/bin\/\w+$/.test(path) && isBash(path)))

function isBash(path: string): boolean {
  return readFileSync(join(root, path), 'utf8').startsWith('#!/usr/bin/env bash')
}

test('shellcheck finds nothing in the bash scripts', () => {
  assert.ok(scripts.length > 15, scripts.join(' '))
  // Parts are sourced into one script, which has what they use, and runs with set -e.
  const parts = ['SC2034', 'SC2154', 'SC2164'].join(',')
  const { stdout, error } = spawnSync('shellcheck', ['-s', 'bash', '-S', 'warning', '-e', parts, ...scripts], {
    cwd: root,
    encoding: 'utf8',
  })
  assert.is(error, undefined)
  assert.is(stdout, '')
})

test.run()
