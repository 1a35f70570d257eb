import { randomUUID } from 'node:crypto'
import { mkdtemp, open, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CompiledQuery } from 'kysely'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Db, decide, openDatabase } from '../../daemon/store/database.ts'
import { faultsOf } from '../../daemon/store/integrity.ts'
import { migrations } from '../../daemon/store/migrations.ts'

let folder = ''
let path = ''
let db: Db
test.before.each(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-store-'))
  path = join(folder, 'sluice.db')
  db = await openDatabase(path)
  // the team's row, which comes with the table
  await db.deleteFrom('accounts').execute()
})
test.after.each(async () => {
  await db.destroy()
  await rm(folder, { recursive: true })
})

const account = (email: string, name: string | null = null) => ({
  id: randomUUID(),
  email,
  name,
  admin: 0 as const,
  created_at: 1,
  updated_at: 1,
  last_login: null,
})
const emails = async (): Promise<string[]> =>
  (await db.selectFrom('accounts').select('email').orderBy('email').execute()).map(({ email }) => email)
const refused = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'it went through', String)
const pragma = async (name: string): Promise<unknown> =>
  Object.values((await db.executeQuery<Record<string, unknown>>(CompiledQuery.raw(`PRAGMA ${name}`))).rows[0] ?? {})[0]

test('a decision is kept as a whole', async () => {
  await decide(db, async (tx) => {
    await tx.insertInto('accounts').values(account('a')).execute()
    await tx.insertInto('accounts').values(account('b')).execute()
  })
  assert.equal(await emails(), ['a', 'b'])
})

test('a decision that throws is dropped as a whole, and the next one works', async () => {
  const broken = decide(db, async (tx) => {
    await tx.insertInto('accounts').values(account('a')).execute()
    throw new Error('changed my mind')
  })
  assert.match(await refused(broken), 'changed my mind')
  assert.equal(await emails(), [])
  await db.insertInto('accounts').values(account('b')).execute()
  assert.equal(await emails(), ['b'])
})

test('a decision for which there is no room says so, and the next one works', async () => {
  const failed = await refused(
    decide(db, async (tx) => {
      // it is the writer's, and a transaction is sure to have that
      await tx.executeQuery(CompiledQuery.raw('PRAGMA max_page_count = 1'))
      await tx
        .insertInto('accounts')
        .values(account('large', 'x'.repeat(1_000_000)))
        .execute()
    }),
  )
  assert.match(failed, /SQLITE_FULL/)
  await decide(db, async (tx) => {
    await tx.executeQuery(CompiledQuery.raw('PRAGMA max_page_count = 1000000'))
    await tx.insertInto('accounts').values(account('small')).execute()
  })
  assert.equal(await emails(), ['small'])
})

test('decisions at the same time come one after the other: none sees half of another, no count is lost', async () => {
  const row = account('counter', '0')
  await db.insertInto('accounts').values(row).execute()
  const increase = () =>
    decide(db, async (tx) => {
      const { name } = await tx.selectFrom('accounts').select('name').where('id', '=', row.id).executeTakeFirstOrThrow()
      await new Promise((resolve) => setImmediate(resolve))
      await tx
        .updateTable('accounts')
        .set({ name: String(Number(name) + 1) })
        .where('id', '=', row.id)
        .execute()
    })
  await Promise.all(Array.from({ length: 50 }, increase))
  const { name } = await db.selectFrom('accounts').select('name').executeTakeFirstOrThrow()
  assert.is(name, '50')
})

test('a read outside of a transaction waits for none, and sees all that was committed before it', async () => {
  await decide(db, async (tx) => {
    await tx.insertInto('accounts').values(account('on its way')).execute()
    assert.equal(await emails(), [])
  })
  assert.equal(await emails(), ['on its way'])
  for (let n = 0; n < 200; n++) {
    const row = account(`n${n}`)
    await db.insertInto('accounts').values(row).execute()
    const seen = await db.selectFrom('accounts').select('email').where('id', '=', row.id).executeTakeFirst()
    assert.is(seen?.email, row.email)
  }
})

test('more different statements than are kept prepared all work, also at the same time', async () => {
  const ids = Array.from({ length: 300 }, (_, n) => Array.from({ length: n + 1 }, (_, id) => String(id)))
  await db
    .insertInto('accounts')
    .values({ ...account('a'), id: '0' })
    .execute()
  const read = (list: string[]) => db.selectFrom('accounts').select('email').where('id', 'in', list).execute()
  for (let round = 0; round < 2; round++)
    assert.ok((await Promise.all(ids.map(read))).every(([row]) => row?.email === 'a'))
})

test('a transaction holds the write lock from its start, also against another process', async () => {
  const other = await openDatabase(path)
  const order: string[] = []
  let second: Promise<unknown> = Promise.resolve()
  await decide(db, async (tx) => {
    await tx.selectFrom('accounts').selectAll().execute()
    second = other
      .insertInto('accounts')
      .values(account('second'))
      .execute()
      .then(() => order.push('second'))
    for (let n = 0; n < 100; n++) await tx.selectFrom('accounts').selectAll().execute()
    await tx.insertInto('accounts').values(account('first')).execute()
    order.push('first')
  })
  await second
  assert.equal(order, ['first', 'second'])
  await other.destroy()
})

test('what was decided is on disk, with the safety that the design asks for', async () => {
  await db.insertInto('accounts').values(account('a')).execute()
  assert.is(await pragma('journal_mode'), 'wal')
  assert.is(await pragma('synchronous'), 2)
  assert.is(await pragma('foreign_keys'), 1)
  await db.destroy()
  db = await openDatabase(path)
  assert.equal(await emails(), ['a'])
})

test('migrations run once, and the schema says how many did', async () => {
  assert.is(await pragma('user_version'), migrations.length)
  await db.destroy()
  db = await openDatabase(path)
  assert.is(await pragma('user_version'), migrations.length)
})

test('a health check from before there were types is one of the start; those of types stay', async () => {
  await db.executeQuery(CompiledQuery.raw('PRAGMA foreign_keys = OFF'))
  const typed = { web: { readiness: { path: '/', timeout: 5000, interval: 10_000, attempts: 3 } } }
  const slug = (id: string, checks: object | null) => ({
    ...{ id, app_id: 'a', key: '', files: '', commit: null, commit_description: null, archive: 'ready' as const },
    ...{
      checksum: '',
      size: 1,
      process_types: '{}',
      buildpack_description: '',
      stack: '',
      images: null,
      created_at: 1,
    },
    checks: checks && JSON.stringify(checks),
  })
  const old = { path: '/up', timeout: 5000 }
  await db
    .insertInto('slugs')
    .values([slug('none', null), slug('old', { web: old }), slug('typed', typed)])
    .execute()
  const [statement = ''] = (migrations.find((one) => one.includes("'$.web.path'")) ?? '').split(';')
  for (let n = 0; n < 2; n++) await db.executeQuery(CompiledQuery.raw(statement))
  const rows = await db.selectFrom('slugs').select(['id', 'checks']).orderBy('id').execute()
  assert.equal(
    rows.map(({ checks }) => checks && JSON.parse(checks)),
    [null, { web: { startup: old } }, typed],
  )
})

test('a database of a newer version is left alone, and the sentence says so', async () => {
  await db.executeQuery(CompiledQuery.raw(`PRAGMA user_version = ${migrations.length + 1}`))
  await db.destroy()
  assert.match(await refused(openDatabase(path)), 'from a newer Sluice')
  db = await openDatabase(join(folder, 'other.db'))
})

test('rows that point nowhere are refused', async () => {
  const row = { id: randomUUID(), app_id: 'none', hostname: 'example.com', created_at: 1, updated_at: 1 }
  assert.match(await refused(db.insertInto('domains').values(row).execute()), 'FOREIGN KEY')
})

test('the number of changed rows is told', async () => {
  await db
    .insertInto('accounts')
    .values([account('a'), account('b')])
    .execute()
  const [{ numUpdatedRows } = { numUpdatedRows: 0n }] = await db
    .updateTable('accounts')
    .set({ updated_at: 2 })
    .execute()
  assert.is(numUpdatedRows, 2n)
  const [{ numDeletedRows } = { numDeletedRows: 0n }] = await db
    .deleteFrom('accounts')
    .where('email', '=', 'none')
    .execute()
  assert.is(numDeletedRows, 0n)
})

test('a damaged file is found out, beside the connections that are open', async () => {
  const many = Array.from({ length: 300 }, (_, n) => account(`${n}@${'x'.repeat(200)}.example`))
  await db.insertInto('accounts').values(many).execute()
  const look = () => faultsOf(path, new AbortController().signal)
  assert.equal(await look(), [])
  await db.destroy()
  const file = await open(path, 'r+')
  const { size } = await stat(path)
  for (let page = 10; page * 4096 < size; page += 3) await file.write(Buffer.alloc(64, 255), 0, 64, page * 4096)
  await file.close()
  const faults = await look()
  assert.ok(faults.length > 0 && faults.length <= 3, String(faults))
  await writeFile(path, 'no database at all, but long enough to be taken for one'.repeat(100))
  assert.match((await look()).join(), /not a database/)
  db = await openDatabase(join(folder, 'other.db'))
  assert.match(await refused(faultsOf(join(folder, 'none.db'), new AbortController().signal)), /SQLITE_CANTOPEN/)
})

test.run()
