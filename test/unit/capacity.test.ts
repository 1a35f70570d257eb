import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Insertable } from 'kysely'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createCapacity } from '../../daemon/run/capacity.ts'
import { resourcesOf } from '../../daemon/run/environment.ts'
import { type Machine, roomIn } from '../../daemon/run/memory.ts'
import { type Db, decide, openDatabase, type Tx } from '../../daemon/store/database.ts'
import type { DynoState, Schema } from '../../daemon/store/schema.ts'
import { Dice } from '../vectors/dice.ts'
import { createStillClock } from './still-clock.ts'

const NOW = 1_000_000_000_000
const MINUTE = 60_000
/** Either what sizes sum up to is the narrower bound, or what is free. */
const MACHINES = [
  { bound: 2 ** 40, available: 2 ** 50 },
  { bound: undefined, available: 2 ** 40 },
]
const SIZES = ['Basic', 'Standard-2X']
const TYPES = ['web', 'worker']
const STATES: DynoState[] = ['starting', 'up', 'draining', 'stopping', 'crashed', 'down']

let folder: string
let db: Db
test.before.each(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-capacity-'))
  db = await openDatabase(join(folder, 'sluice.db'))
  const person = { email: 'a@example.com', name: null, admin: 1 as const, last_login: null }
  await db
    .insertInto('accounts')
    .values({ ...person, id: 'a', created_at: 0, updated_at: 0 })
    .execute()
})
test.after.each(async () => {
  await db.destroy()
  await rm(folder, { recursive: true })
})

type Dyno = Insertable<Schema['dynos']>
interface App {
  id: string
  /** Of the release that serves; none has been made when there are none. */
  types: string[]
  formation: { type: string; quantity: number; size: string }[]
  dynos: Dyno[]
}

let made = 0

function dyno(app_id: string, given: Partial<Dyno> = {}): Dyno {
  const row = { id: randomUUID(), app_id, release_id: `r-${app_id}`, type: 'web', ordinal: ++made, size: 'Basic' }
  const state = { state: 'up' as const, replace: 0 as const, crashes: 0, retry_at: null, exit_code: null }
  const place = { command: 'true', address: null, port: 3000, one_off: null, created_at: 0, updated_at: NOW - MINUTE }
  return { ...row, ...state, ...place, ...given }
}

const insert = (app: App): Promise<void> => decide(db, (tx) => insertInto(tx, app))

async function insertInto(db: Tx, { id, types, formation, dynos }: App): Promise<void> {
  const at = { created_at: 0, updated_at: 0 }
  const slug = { key: id, files: id, commit: '', size: 1, stack: 's', checksum: '', buildpack_description: '' }
  const release = { id: `r-${id}`, app_id: id, version: 2, description: '', slug_id: id, config: '', account_id: 'a' }
  const state = types.length > 0 ? ('succeeded' as const) : ('failed' as const)
  const app = { name: id, owner_id: 'a', stack: 's', maintenance: 0 as const, locked: 0 as const, destroyed_at: null }
  await db
    .insertInto('apps')
    .values({ id, ...app, network: ++made, ...at })
    .execute()
  const process_types = JSON.stringify(Object.fromEntries(types.map((type) => [type, 'true'])))
  await db
    .insertInto('slugs')
    .values({ id, app_id: id, ...slug, process_types, created_at: 0 })
    .execute()
  await db
    .insertInto('releases')
    .values({ ...release, created_at: 0 })
    .execute()
  const rollout = { release_id: release.id, app_id: id, version: 2, state, attended: 0 as const, reason: null }
  await db
    .insertInto('rollouts')
    .values({ ...rollout, ...at })
    .execute()
  for (const one of formation)
    await db
      .insertInto('formation')
      .values({ id: randomUUID(), app_id: id, ...one, ...at })
      .execute()
  for (const one of dynos) await db.insertInto('dynos').values(one).execute()
}

/** Most of its slots have their dyno, which is up and settled; some have another, or none, or one too many. */
function anyApp(dice: Dice): App {
  const id = `app-${++made}`
  const formation = TYPES.map((type) => ({ type, quantity: dice.below(3), size: dice.of(SIZES) }))
  const odd = (size: string): Partial<Dyno> =>
    dice.chance(70)
      ? { size }
      : { size: dice.of(SIZES), state: dice.of(STATES), updated_at: NOW + dice.of([-MINUTE, -MINUTE / 3, MINUTE]) }
  const dynos = formation.flatMap(({ type, quantity, size }) =>
    Array.from({ length: Math.max(0, quantity + dice.of([0, 0, 0, 0, -1, 1])) }, () =>
      dyno(id, { type, ...odd(size) }),
    ),
  )
  const oneOffs = dice.some(1, () => dyno(id, { type: dice.of(['run', 'web']), one_off: '{}', ...odd('Basic') }))
  return { id, types: dice.of([TYPES, TYPES, ['web'], []]), formation, dynos: [...dynos, ...oneOffs] }
}

/** What memory.ts makes of every row. */
function roomOf(apps: App[], machine: Machine) {
  const memory = (size: string) => resourcesOf(size).memory
  const promised = apps.flatMap(({ id, types, formation }) =>
    formation
      .filter(({ type, quantity }) => quantity > 0 && types.includes(type))
      .map(({ type, size, quantity }) => ({ app: id, type, quantity, memory: memory(size) })),
  )
  const dynos = apps
    .flatMap(({ dynos }) => dynos)
    .filter(({ state }) => state !== 'down')
    .map(({ id, app_id, type, size, state, updated_at, one_off }) => ({
      ...{ id, app: app_id, type: one_off === null ? type : '', memory: memory(size), used: null },
      ...{ state: state as DynoState, since: Number(updated_at) },
    }))
  return roomIn({ resting: 0, promised, dynos, builds: [] }, machine, NOW)
}

const engine = { memoryUsed: async () => null }
const roomFrom = (db: Db, { bound, available }: Machine) =>
  createCapacity({ db, engine, clock: createStillClock(NOW), bound, poke() {}, available: () => available }).room(db)

test('the room is that of all slots and dynos, whether their apps are at rest or not', async () => {
  const dice = new Dice(7)
  const apps: App[] = []
  for (let n = 0; n < 60; n++) {
    const app = anyApp(dice)
    apps.push(app)
    await insert(app)
    for (const machine of MACHINES)
      assert.equal(await roomFrom(db, machine), roomOf(apps, machine), `${n}: ${JSON.stringify(app)}`)
  }
})

test('of apps at rest no row is read, however many there are', async () => {
  let rows = 0
  const counting = db.withPlugin({
    transformQuery: ({ node }) => node,
    async transformResult({ result }) {
      rows += result.rows.length
      return result
    },
  })
  for (let n = 0; n < 30; n++) {
    const id = `quiet-${n}`
    const formation = [{ type: 'web', quantity: 1, size: 'Basic' }]
    await insert({ id, types: ['web'], formation, dynos: [dyno(id)] })
  }
  const bound = 2 ** 40
  const room = await roomFrom(counting, { bound, available: 2 ** 50 })
  assert.is(room.now, bound - 30 * resourcesOf('Basic').memory)
  assert.is(rows, 1, 'the sum, by size')
})

test.run()
