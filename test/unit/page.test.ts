import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Context } from '../../daemon/api/context.ts'
import { page, pageOf } from '../../daemon/api/page.ts'
import { UserError } from '../../daemon/errors.ts'
import { type Db, openDatabase } from '../../daemon/store/database.ts'

interface Row {
  id: string
  version: number
  name: string
  created_at: number
}

const folder = await mkdtemp(join(tmpdir(), 'sluice-page-'))
const db: Db = await openDatabase(join(folder, 'sluice.db'))
test.after(async () => {
  await db.destroy()
  await rm(folder, { recursive: true })
})

/** A generator with a seed, so that a failure can be repeated: https://en.wikipedia.org/wiki/Linear_congruential_generator */
let seed = 20_240_229
const below = (limit: number): number => {
  seed = (seed * 1_664_525 + 1_013_904_223) % 2 ** 32
  return Math.floor((seed / 2 ** 32) * limit)
}
const pick = <T>(choices: readonly T[]): T => choices[below(choices.length)] as T

const query = () => db.selectFrom('apps').select(['id', 'network as version', 'name', 'created_at'])
const columns = { version: 'network', id: 'id', name: 'name', created_at: 'created_at' }
const keys = {
  version: ({ version }: Row) => version,
  id: ({ id }: Row) => id,
  name: ({ name }: Row) => name,
  created_at: ({ created_at }: Row) => created_at,
}

/** What a client reads: items and headers, or the id of the error. */
async function answer(range: string, part: (ctx: Context) => Row[] | Promise<Row[]>) {
  const headers: Record<string, string> = {}
  const ctx = { status: 200, get: () => range, set: (name: string, value: string) => (headers[name] = value) }
  try {
    const items = await part(ctx as unknown as Context)
    return { ids: items.map(({ id }) => id), status: ctx.status, headers }
  } catch (error) {
    if (error instanceof UserError) return { error: error.id }
    throw error
  }
}

test('a part that is cut by SQLite is the part that is cut in memory, whatever the range', async () => {
  const owner_id = randomUUID()
  const times = { created_at: 1, updated_at: 1 }
  const account = { id: owner_id, email: 'a@example.com', name: null, admin: 0 as const, last_login: null }
  await db
    .insertInto('accounts')
    .values({ ...account, ...times })
    .execute()
  for (let network = 0; network < 60; network++)
    await db
      .insertInto('apps')
      .values({
        ...{ id: randomUUID(), name: `app-${below(1000)}-${network}`, owner_id, stack: 's', maintenance: 0, network },
        // many at the same time, so that the id has to tell them apart
        ...{ created_at: 1_700_000_000_000 + below(8), updated_at: 1, locked: 0, destroyed_at: null },
      })
      .execute()
  const all: Row[] = await query().execute()
  const value = (attribute: string): string => {
    const row = pick(all)
    if (attribute === 'created_at') {
      const time = new Date(row.created_at).toISOString()
      return pick([time, `${time}~${row.id}`, 'yesterday'])
    }
    if (attribute === 'version') return pick([String(row.version), '1e1', '2.5', 'Infinity', 'x'])
    return pick([String(row[attribute as keyof Row]), 'a', 'é'])
  }
  const bound = (attribute: string): string =>
    pick([() => '', () => value(attribute), () => `]${value(attribute)}`, () => `${value(attribute)}[`])()
  let [compared, errors, partial] = [0, 0, 0]
  const compare = async (range: string): Promise<string | undefined> => {
    const wanted = await answer(range, (ctx) => page(ctx, all, keys))
    assert.equal(await answer(range, (ctx) => pageOf(ctx, query(), columns)), wanted, range)
    compared++
    if ('error' in wanted) errors++
    else if (wanted.status === 206) partial++
    return wanted.headers?.['Next-Range']
  }
  for (let count = 0; count < 1500; count++) {
    const attribute = pick(Object.keys(columns))
    const options = pick(['', '; order=desc', `; max=${1 + below(70)}`, `; max=${1 + below(70)}, order=desc`])
    const next = await compare(`${attribute} ${bound(attribute)}..${bound(attribute)}${options}`)
    if (next) await compare(next)
  }
  await compare('')
  await compare('bytes=0-9')
  await compare('color ..')
  assert.ok(compared > 1500 && errors > 50 && partial > 300, `${compared} ranges, ${errors} errors, ${partial} parts`)
})

test.run()
