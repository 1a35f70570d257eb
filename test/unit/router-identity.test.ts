import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { identify } from '../../router/identity.ts'

/** Who a router is to the daemon. */

let folder = ''
let said: string[] = []
const warn = (sentence: string) => said.push(sentence)

test.before.each(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'sluice-identity-')), 'router')
  said = []
})

test.after.each(() => rm(join(folder, '..'), { recursive: true, force: true }))

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

test('a router is the same after a restart', async () => {
  const { id, workers, pid } = await identify(folder, 3, warn)
  assert.match(id, UUID)
  assert.equal([workers, pid], [3, process.pid])
  assert.is((await identify(folder, 1, warn)).id, id)
  assert.equal(said, [])
})

test('a file that a full disk or a crash has left empty is written anew', async () => {
  await mkdir(folder)
  await writeFile(join(folder, 'id'), '')
  const { id } = await identify(folder, 1, warn)
  assert.match(id, UUID)
  assert.is((await readFile(join(folder, 'id'), 'utf8')).trim(), id)
  assert.is((await identify(folder, 1, warn)).id, id)
})

test('where nothing can be kept the router is another at each start, says so, and serves', async () => {
  await writeFile(folder, 'a file')
  const { id } = await identify(folder, 1, warn)
  assert.match(id, UUID)
  assert.match(said.join(), /^The router's id cannot be kept/)
})

test.run()
