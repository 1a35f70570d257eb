import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CompiledQuery } from 'kysely'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compact, openDatabase } from '../../daemon/store/database.ts'

const folder = await mkdtemp(join(tmpdir(), 'sluice-compact-'))
const db = await openDatabase(join(folder, 'sluice.db'))
test.after(async () => {
  await db.destroy()
  await rm(folder, { recursive: true })
})

const KiB = 1024
const add = (count: number) =>
  Promise.all(
    Array.from({ length: count }, () =>
      db
        .insertInto('acme_accounts')
        .values({ directory: randomUUID(), private_key: randomBytes(8 * KiB).toString('hex'), created_at: 1 })
        .execute(),
    ),
  )
const size = async () => {
  await db.executeQuery(CompiledQuery.raw('PRAGMA wal_checkpoint(TRUNCATE)'))
  return (await stat(join(folder, 'sluice.db'))).size
}

test('a database that is mostly unused pages gives them back, with writers and readers at work', async () => {
  await add(200)
  const full = await size()
  assert.is(await compact(db, 64 * KiB), false)
  await db.deleteFrom('acme_accounts').execute()
  assert.ok((await size()) >= full)
  assert.is(await compact(db, 64 * 1024 * KiB), false, 'few unused pages are kept')
  const [did] = await Promise.all([
    compact(db, 64 * KiB),
    add(3),
    db.selectFrom('acme_accounts').select('directory').execute(),
  ])
  assert.ok(did)
  assert.ok((await size()) < full / 2)
  assert.is((await db.selectFrom('acme_accounts').select('directory').execute()).length, 3)
  const { rows } = await db.executeQuery(CompiledQuery.raw('PRAGMA integrity_check'))
  assert.equal(rows, [{ integrity_check: 'ok' }])
})

test.run()
