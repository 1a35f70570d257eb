import { randomUUID } from 'node:crypto'
import type { Selectable } from 'kysely'
import { type Actor, record } from '../account/activity.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound } from '../errors.ts'
import { failpoint } from '../failpoint.ts'
import { limits } from '../limits.ts'
import { type DbOrTx, decide, type Tx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import { note } from '../webhook/event.ts'
import { isSerial } from './beside.ts'
import { noRoom } from './capacity.ts'
import { imagesOf } from './code.ts'
import { resourcesOf } from './environment.ts'
import { scaledTo, sizes } from './notice.ts'
import type { Room } from './plan.ts'
import { defaultSize, noSize, parseSize } from './size.ts'

type Row = Selectable<Schema['formation']>
type App = Selectable<Schema['apps']>

export interface FormationView {
  id: string
  type: string
  command: string
  quantity: number
  size: string
  /** The id of the image that it runs, on the container stack. */
  image: string | null
  created_at: number
  updated_at: number
}

/** One change to a formation, as the clients send it: an absolute or (`+1`, `-1`) relative quantity, a size, or both. */
export interface FormationUpdate {
  type: string
  quantity?: number | string
  size?: string
}

/** Process types of the newest release that has not failed, with their quantities. That of a release command is 0. */
export async function listFormation(db: DbOrTx, app: string): Promise<FormationView[]> {
  const slug = await db
    .selectFrom('releases')
    .innerJoin('rollouts', 'rollouts.release_id', 'releases.id')
    .innerJoin('slugs', 'slugs.id', 'releases.slug_id')
    .select(['slugs.process_types', 'slugs.images'])
    .where('releases.app_id', '=', app)
    .where('rollouts.state', '!=', 'failed')
    .orderBy('releases.version', 'desc')
    .limit(1)
    .executeTakeFirst()
  if (!slug) return []
  const rows = await rowsOf(db, app)
  const images = imagesOf(slug)
  return Object.entries(JSON.parse(slug.process_types) as Record<string, string>).flatMap(([type, command]) => {
    const row = rows.get(type)
    return row ? [{ ...row, command, image: images?.[type]?.id ?? null }] : []
  })
}

export async function rowsOf(db: DbOrTx, app: string): Promise<Map<string, Row>> {
  const rows = await db.selectFrom('formation').selectAll().where('app_id', '=', app).execute()
  return new Map(rows.map((row) => [row.type, row]))
}

/** Gives each process type that the app has not had before its quantity: one web dyno, nothing of the others. */
export async function ensureFormation(tx: Tx, app: string, types: string[], now: number): Promise<void> {
  for (const type of types)
    await tx
      .insertInto('formation')
      .values({
        id: randomUUID(),
        app_id: app,
        type,
        quantity: type === 'web' ? 1 : 0,
        size: defaultSize,
        created_at: now,
        updated_at: now,
      })
      .onConflict((conflict) => conflict.columns(['app_id', 'type']).doNothing())
      .execute()
}

/** Scales several process types as one decision: all or none. Returns the changed ones. Throws UserError for an unknown type or bad number. */
export async function scale(d: Daemon, app: App, account: Actor, updates: FormationUpdate[]): Promise<FormationView[]> {
  await d.capacity.measure()
  const changed = await decide(d.db, (tx) => decideScale(d, tx, { app, account, updates }))
  return announceScale(d, { app, account, changed })
}

interface Scaling {
  app: App
  account: Actor
  updates: FormationUpdate[]
}

/** Part of a decision, such as a release, that is made only if this can be; the room must have been measured. Throws as `scale` does. */
export async function decideScale(d: Daemon, tx: Tx, { app, account, updates }: Scaling): Promise<FormationView[]> {
  const now = d.clock.now()
  const before = await listFormation(tx, app.id)
  const room = await d.capacity.room(tx)
  const formation = new Map(before.map((row) => [row.type, row]))
  for (const update of updates) {
    const row = formation.get(update.type)
    if (!row) throw unknownType(update.type, formation)
    const quantity = parseQuantity(update, row.quantity)
    const size = update.size === undefined ? row.size : sizeNamed(update.size)
    const same = quantity === row.quantity && size === row.size
    const scaled = { ...row, quantity, size, updated_at: same ? row.updated_at : now }
    formation.set(update.type, scaled)
    if (same) continue
    await tx.updateTable('formation').set({ quantity, size, updated_at: now }).where('id', '=', row.id).execute()
    const news = { app: app.id, account, include: 'api:formation', action: 'update' } as const
    await note(tx, { ...news, subject: scaled, previous: row, now })
  }
  checkRoom([...formation.values()])
  requireMemory({ before, after: [...formation.values()], room, serial: await isSerial(tx, app.id) })
  const changed = updates.flatMap(({ type }) => formation.get(type) ?? [])
  await record(tx, account, { app: app.id, text: `Scaled to ${sizes(changed)}`, now })
  return changed
}

interface Scaled {
  app: App
  account: Actor
  changed: FormationView[]
}

/** Tells of it and has it done, once it is decided. */
export async function announceScale(d: Daemon, { app, account, changed }: Scaled): Promise<FormationView[]> {
  await failpoint('formation.scaled')
  d.runner.poke(app.id)
  d.capacity.freed()
  d.logs.write(app.id, {
    at: d.clock.now(),
    source: 'app',
    dyno: 'api',
    text: scaledTo(changed, account.email),
  })
  return changed
}

/** An app's network has so many addresses, and a deploy needs room for the web dynos of two releases and a release command. */
function checkRoom(formation: FormationView[]): void {
  const sum = formation.reduce((sum, { type, quantity }) => sum + (type === 'web' ? 2 : 1) * quantity, 1)
  if (sum > limits.dynosPerApp)
    throw invalid(
      `That would be more than an app's network holds: at most ${limits.dynosPerApp} dynos, web dynos counted twice because a deploy runs old and new side by side.`,
    )
}

interface Growth {
  before: FormationView[]
  after: FormationView[]
  /** Before it. */
  room: Room
  serial: boolean
}

/**
 * What is added must have room. A web dyno that is alone also needs it for a successor of another size beside it, unless the app is serial:
 * of several, one after the other makes way.
 */
function requireMemory({ before, after, room, serial }: Growth): void {
  const [was, web] = [before, after].map((rows) => rows.find(({ type }) => type === 'web'))
  const alone = was && web && was.quantity === 1 && web.quantity === 1 && was.size !== web.size
  const beside = alone && !serial ? resourcesOf(web.size).memory : 0
  const needs = Math.max(memoryOf(after) - memoryOf(before), beside)
  const changed = after.filter((row) => !before.includes(row))
  if (needs > 0 && room.now < needs) throw noRoom(`Cannot scale to ${sizes(changed)}: that`, needs, room)
}

const memoryOf = (formation: FormationView[]): number =>
  formation.reduce((sum, { quantity, size }) => sum + quantity * resourcesOf(size).memory, 0)

const unknownType = (type: string, formation: Map<string, unknown>) => {
  const error = notFound(`process type (${type})`, 'formation')
  if (formation.size > 0) error.message += ` This app has: ${[...formation.keys()].join(', ')}.`
  else error.message += ' Nothing has been deployed yet: push the app first.'
  return error
}

function parseQuantity({ type, quantity }: FormationUpdate, before: number): number {
  if (quantity === undefined) return before
  const text = String(quantity)
  if (!/^[+-]?\d{1,6}$/.test(text))
    throw invalid(
      `The quantity of ${type} is "${text}"; it must be a number such as 2, +1 or -1, of at most six digits.`,
    )
  const relative = typeof quantity === 'string' && /^[+-]/.test(text)
  const result = relative ? before + Number(text) : Number(text)
  if (type === 'release' && result > 0)
    throw invalid('The release command cannot be scaled: it runs once for each release. Its size can be changed.')
  if (result < 0) throw invalid(`Cannot scale ${type} to ${result}: the quantity must not be negative.`)
  if (result > limits.dynosPerType)
    throw invalid(
      `Cannot scale ${type} to ${result}: at most ${limits.dynosPerType} dynos of a process type are allowed.`,
    )
  return result
}

function sizeNamed(name: string): string {
  const size = parseSize(name)
  if (!size) throw noSize(name)
  return size
}
