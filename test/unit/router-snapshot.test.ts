import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Edition, editionOf, nothing, tableAfter } from '../../router/edition.ts'
import type { AppRoute, Table } from '../../router/protocol.ts'
import { Snapshots } from '../../router/snapshot.ts'

/** What of the table is on disk after each write, however it was written. */

let folder = ''
const file = (name: string) => join(folder, name)
const read = async (): Promise<Table | undefined> => (await new Snapshots(folder).read(() => {}))?.table
const lines = async () => (await readFile(file('changes.jsonl'), 'utf8')).split('\n').slice(0, -1)
const whole = async () => JSON.parse(await readFile(file('snapshot.json'), 'utf8')).table

const app = (id: string, name = id): AppRoute => ({
  ...{ id, name, hosts: [`${id}.localhost`], certificates: [], maintenance: false, empty: 'none', backends: [] },
})

test.before.each(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-snapshot-'))
})

test.after.each(() => rm(folder, { recursive: true, force: true }))

const first = editionOf({ version: 1, apps: [app('a'), app('b')], challenges: [] }, new Map())
const following = (before: Edition, apps: AppRoute[], gone: string[] = []): Edition => {
  const { version } = before.table
  const change = { base: version, version: version + 1, apps, gone, challenges: [] }
  return editionOf(tableAfter(before.table, [change]), before.certificates, before)
}

async function written(...editions: Edition[]): Promise<Snapshots> {
  const snapshots = new Snapshots(folder)
  for (const [i, edition] of editions.entries()) await snapshots.write(edition, editions[i - 1] ?? nothing)
  return snapshots
}

test('the first table is written whole, what changes after it a line at a time, and read as one', async () => {
  const second = following(first, [app('c')])
  const third = following(second, [app('a', 'renamed')], ['b'])
  await written(first, second, third)
  assert.is((await whole()).version, 1)
  assert.is((await lines()).length, 2)
  assert.equal(await read(), third.table)
  for (const name of ['snapshot.json', 'changes.jsonl']) assert.is((await stat(file(name))).mode & 0o777, 0o600, name)
})

test('half a line, which a power cut leaves, is passed over; the next process begins anew', async () => {
  const second = following(first, [app('c')])
  await written(first, second)
  await appendFile(file('changes.jsonl'), '{"base":2,"version":3,"apps":[')
  assert.equal(await read(), second.table)
  const third = following(second, [app('d')])
  await new Snapshots(folder).write(third, second)
  assert.equal(await whole(), third.table)
  assert.equal(await lines(), [])
  assert.equal(await read(), third.table)
})

test('lines of older tables, which a process leaves that dies after the whole table, change nothing', async () => {
  const second = following(first, [app('c')])
  const third = following(second, [], ['c'])
  await written(first, second, third)
  const old = await readFile(file('changes.jsonl'), 'utf8')
  const fourth = following(third, [app('d')])
  const snapshots = await written(fourth)
  await writeFile(file('changes.jsonl'), old)
  assert.equal(await read(), fourth.table)
  const fifth = following(fourth, [app('e')])
  await snapshots.write(fifth, fourth)
  assert.equal(await read(), fifth.table)
})

test('a change to another table than the one on disk is written whole', async () => {
  const second = following(first, [app('c')])
  const third = following(second, [app('d')])
  const snapshots = await written(first)
  await snapshots.write(third, second)
  assert.equal(await whole(), third.table)
})

test('nothing is appended after a write that failed', async () => {
  const second = following(first, [app('c')])
  const snapshots = await written(first)
  await rm(folder, { recursive: true })
  await writeFile(folder, 'not a folder')
  const failed = await snapshots.write(second, first).then(
    () => false,
    () => true,
  )
  assert.ok(failed)
  await rm(folder)
  await snapshots.write(second, first)
  assert.equal(await read(), second.table)
})

test('a journal that is longer than the table begins anew', async () => {
  const snapshots = await written(first)
  let before = first
  let longest = 0
  for (let i = 0; i < 40; i++) {
    const next = following(before, [app('a', 'x'.repeat(5000))])
    await snapshots.write(next, before)
    before = next
    longest = Math.max(longest, (await stat(file('changes.jsonl'))).size)
  }
  assert.ok(longest > 32 * 1024 && longest < 128 * 1024, String(longest))
  assert.ok((await whole()).version > 1)
  assert.equal(await read(), before.table)
})

test('a large table is the same when it is read', async () => {
  const apps = Array.from({ length: 401 }, (_, i) => app(`app-${i}`))
  const edition = editionOf(
    { version: 7, apps, challenges: [{ host: 'a', token: 't', authorization: 'x' }] },
    new Map(),
  )
  await written(edition)
  assert.equal(await read(), edition.table)
  const empty = editionOf({ version: 8, apps: [], challenges: [] }, new Map())
  await written(empty)
  assert.equal(await read(), empty.table)
})

test.run()
