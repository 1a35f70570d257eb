import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { removeTree } from '../../daemon/remove.ts'

test('a tree that is deeper than paths can be is removed, and what its links lead to is not', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-remove-'))
  const tree = join(folder, '-tree')
  await mkdir(tree)
  await writeFile(join(folder, 'outside'), 'kept')
  await symlink('../outside', join(tree, 'link'))
  // 300 levels of 250 bytes: no path of the innermost one fits into the kernel's 4096.
  const script =
    'name=$(printf %0250d 0); for n in {1..300}; do mkdir $name && cd -P $name; done; touch file; chmod 000 .'
  await promisify(execFile)('bash', ['-c', script], { cwd: tree })
  await removeTree(tree)
  assert.not(existsSync(tree))
  assert.is(await readFile(join(folder, 'outside'), 'utf8'), 'kept')
  await removeTree(tree)
  await rm(folder, { recursive: true })
})

test.run()
