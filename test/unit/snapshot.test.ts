import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { openDatabase } from '../../daemon/store/database.ts'
import { migrations } from '../../daemon/store/migrations.ts'
import { run } from '../e2e/command.ts'

const program = join(import.meta.dirname, '..', '..', 'daemon', 'store', 'snapshot.js')
const snapshot = (...args: string[]) => run([process.execPath, program, ...args], { env: process.env })

test('an installer learns the schema of a release and of a database, and has it copied while rows are in its log only', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-snapshot-'))
  const [path, copy] = [join(folder, 'sluice.db'), join(folder, 'kept.db')]
  try {
    assert.is((await snapshot('schema')).stdout, `${migrations.length}\n`)
    assert.is((await snapshot('schema', path)).stdout, '0\n')
    assert.equal(await readdir(folder), [])
    const db = await openDatabase(path)
    await db
      .insertInto('accounts')
      .values({ id: 'a', email: 'ann@example.com', created_at: 0, updated_at: 0 } as never)
      .execute()
    await writeFile(`${copy}.part`, 'what an interrupted one has left')
    assert.is((await snapshot('take', path, copy)).code, 0)
    await db.destroy()
    assert.is((await snapshot('schema', copy)).stdout, `${migrations.length}\n`)
    assert.is((await stat(copy)).mode & 0o777, 0o600)
    assert.equal((await readdir(folder)).sort(), ['kept.db', 'sluice.db'])
    const kept = await openDatabase(copy)
    assert.equal(await kept.selectFrom('accounts').select('email').where('id', '=', 'a').execute(), [
      { email: 'ann@example.com' },
    ])
    await kept.destroy()
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('a database that cannot be copied is told, and nothing takes the place of an older copy', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-snapshot-'))
  try {
    await writeFile(join(folder, 'kept.db'), 'older')
    const { code, stderr } = await snapshot('take', join(folder, 'none.db'), join(folder, 'kept.db'))
    assert.is(code, 1)
    assert.match(stderr, /^snapshot: .*unable to open database file/)
    assert.is((await stat(join(folder, 'kept.db'))).size, 5)
  } finally {
    await rm(folder, { recursive: true })
  }
})

test.run()
