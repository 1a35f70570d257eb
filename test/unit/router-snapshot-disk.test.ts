import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { editionOf, nothing } from '../../router/edition.ts'
import type { Certificate, Table } from '../../router/protocol.ts'
import { Snapshots } from '../../router/snapshot.ts'

/** What a router finds on disk when newer tables could not be written. */

let folder = ''

test.before.each(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-snapshot-'))
})

test.after.each(() => rm(folder, { recursive: true, force: true }))

const certificates = (id: string) => new Map<string, Certificate>([[id, { id, chain: 'chain', key: 'key' }]])

/** With a certificate of this id. */
const table = (id: string): Table => ({
  ...{ version: 1, challenges: [] },
  apps: [
    {
      ...{ id: 'app', name: 'app', hosts: ['a.b'], maintenance: false, empty: 'none', backends: [] },
      certificates: [{ id, hosts: ['a.b'] }],
    },
  ],
})

const write = (snapshots: Snapshots, id: string) => snapshots.write(editionOf(table(id), certificates(id)), nothing)

async function read() {
  const snapshot = await new Snapshots(folder).read(() => assert.unreachable())
  return [snapshot?.table.apps[0]?.certificates[0]?.id, ...(snapshot?.certificates.keys() ?? [])]
}

async function fails(snapshots: Snapshots, id: string): Promise<void> {
  const failed = await write(snapshots, id).catch((error) => error.code)
  assert.is(failed, 'EISDIR')
}

test('the last table is read with its certificate', async () => {
  const snapshots = new Snapshots(folder)
  await write(snapshots, 'one')
  await write(snapshots, 'two')
  assert.equal(await read(), ['two', 'two'])
})

for (const restarted of [false, true])
  test(`a table that stays because newer ones cannot be written keeps its certificate${restarted ? ', after a restart too' : ''}`, async () => {
    let snapshots = new Snapshots(folder)
    await write(snapshots, 'one')
    if (restarted) {
      snapshots = new Snapshots(folder)
      await snapshots.read(() => assert.unreachable())
    }
    await mkdir(join(folder, 'snapshot.json.new'))
    await fails(snapshots, 'two')
    await fails(snapshots, 'three')
    assert.equal(await read(), ['one', 'one'])
    await rm(join(folder, 'snapshot.json.new'), { recursive: true })
    await write(snapshots, 'four')
    assert.equal(await read(), ['four', 'four'])
  })

test.run()
