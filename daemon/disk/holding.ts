import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { stacks } from '../app/stack.ts'
import { listBackups } from '../backup/shelf.ts'
import { isIdle, shelf } from '../build/buildpack/shelf.ts'
import { baseImages, isUnused } from '../build/container/base-image.ts'
import { isCacheOf } from '../build/container/layer-cache.ts'
import { keptSlugs, usesOf, type Why } from '../build/slug/kept.ts'
import type { Daemon } from '../daemon.ts'
import type { ListedImage } from '../engine/engine.ts'
import { repositoryPath } from '../git/repository.ts'
import { slugTree } from '../store/slug-path.ts'
import { type DynoFiles, dynoFiles } from './dyno-files.ts'
import type { Measure } from './measure.ts'
import { slugsAtLeast } from './relief.ts'

export type HoldingKind =
  | 'slug'
  | 'tree'
  | 'image'
  | 'cache'
  | 'cache copy'
  | 'repository'
  | 'log'
  | 'output'
  | 'dyno'
  | 'pushed image'
  | 'buildpack'
  | 'source'
  | 'base image'
  | 'database'
  | 'backup'
  | 'build'
  | 'stack image'
  | 'other image'

/** Something that takes disk, and whose it is. */
export interface Holding {
  kind: HoldingKind
  /** Id; null for what is everybody's. */
  app: string | null
  /** Tells it from others of its kind and app: an id, a name or a version. */
  name: string
  /** On disk. Layers that images share count with each of them, so images together may be less. */
  bytes: number
  why: HoldingWhy
  /** It may go when disk is short (`relief.ts`). */
  spare: boolean
}

/** Why it is kept. */
export type HoldingWhy =
  | Why
  | 'not released yet'
  | 'the next build'
  | 'the app'
  | 'newest build'
  | 'unused'
  | 'the platform'
  | 'a build goes on'
  | 'not ours'

/**
 * Everything that the platform keeps, one after the other, app by app. Sizes come from rows where rows have them; the rest is measured at
 * low priority, and again only when it may have changed (`measure.ts`), so the first walk over a large installation takes long and the
 * next ones do not. Who has enough stops reading; nothing is held meanwhile.
 */
export async function* holdings(d: Daemon, measure: Measure): AsyncGenerator<Holding> {
  const around: Around = {
    measure,
    building: new Set(await appsInBuild(d)),
    dynos: await dynoFiles(d),
    images: await d.engine.images.list().catch(() => []),
  }
  for (const app of await d.db.selectFrom('apps').select('id').orderBy('created_at').execute())
    yield* some(ofApp(d, around, app.id))
  yield* some(ofAll(d, around))
}

/** What is asked for once, for all apps. */
interface Around {
  measure: Measure
  /** Nothing of their caches and slugs goes meanwhile. */
  building: ReadonlySet<string>
  dynos: DynoFiles
  images: readonly ListedImage[]
}

async function* some(all: AsyncIterable<Holding>): AsyncGenerator<Holding> {
  for await (const holding of all) if (holding.bytes > 0) yield holding
}

async function appsInBuild({ db }: Daemon): Promise<string[]> {
  const rows = await db.selectFrom('builds').select('app_id').where('status', '=', 'pending').execute()
  return rows.map(({ app_id }) => app_id)
}

async function* ofApp(d: Daemon, around: Around, app: string): AsyncGenerator<Holding> {
  const { data } = d.config
  const { measure } = around
  yield* slugsOf(d, around, app)
  yield* cachesOf(d, around, app)
  const whole = { app, name: '', why: 'the app', spare: false } as const
  yield { kind: 'repository', bytes: await measure(repositoryPath(data, app)), ...whole }
  yield { kind: 'log', bytes: await measure(join(data, 'logs', app)), ...whole }
  yield { kind: 'output', bytes: await outputOf(d, app), ...whole }
  yield { kind: 'pushed image', bytes: await d.registry.used(app), ...whole }
  for (const { id } of await d.db.selectFrom('dynos').select('id').where('app_id', '=', app).execute())
    yield { kind: 'dyno', app, name: id, bytes: around.dynos.get(id) ?? 0, why: 'a dyno runs it', spare: false }
}

/** Files that several slugs of the app share count once, with the slug that has the best reason. */
async function* slugsOf(d: Daemon, { measure, building }: Around, app: string): AsyncGenerator<Holding> {
  const uses = await usesOf(d.db, app)
  const kept = keptSlugs(uses, d.config.slugs)
  const [least, running] = [keptSlugs(uses, slugsAtLeast(d)), keptSlugs(uses, 0)]
  const released = new Set(uses.map(({ slug }) => slug))
  const rows = await d.db
    .selectFrom('slugs')
    .select(['id', 'files', 'images', 'size', 'archive'])
    .where('app_id', '=', app)
    .where('deleted_at', 'is', null)
    .orderBy('created_at', 'desc')
    .execute()
  const order = [...kept.keys()]
  const rank = ({ id }: { id: string }) => order.indexOf(id) + (kept.has(id) ? 0 : order.length + 1)
  const told = new Set<string>()
  for (const { id, files, images, size, archive } of rows.toSorted((a, b) => rank(a) - rank(b))) {
    const content = images ?? files
    if (told.has(content)) continue
    told.add(content)
    const why = kept.get(id) ?? (released.has(id) ? 'unused' : 'not released yet')
    const spare = released.has(id) && !least.has(id) && !building.has(app)
    if (images !== null) yield { kind: 'image', app, name: id, bytes: size, why, spare }
    else {
      yield { kind: 'slug', app, name: id, bytes: size, why, spare }
      const idle = !running.has(id) && archive !== 'awaited'
      const bytes = await measure(slugTree(d.config, files), 'fixed')
      yield { kind: 'tree', app, name: id, bytes, why, spare: idle }
    }
  }
}

/** Layers that a slug's image has as well are its. */
async function* cachesOf(d: Daemon, { measure, building, images }: Around, app: string): AsyncGenerator<Holding> {
  const folder = join(d.config.data, 'cache', app)
  const cache = { app, why: 'the next build', spare: !building.has(app) } as const
  for (const stack of await names(folder))
    for (const name of await names(join(folder, stack))) {
      const bytes = await measure(join(folder, stack, name), 'fixed')
      if (name === 'kept') yield { kind: 'cache', name: stack, bytes, ...cache }
      else yield { kind: 'cache copy', name: stack, bytes, ...cache, spare: true }
    }
  for (const { kept, bytes } of images) {
    const [name] = kept
    if (name !== undefined && kept.every((one) => isCacheOf(app, one))) yield { kind: 'cache', name, bytes, ...cache }
  }
}

async function outputOf(d: Daemon, app: string): Promise<number> {
  let bytes = 0
  for (const table of ['builds', 'releases'] as const)
    for (const { id } of await d.db.selectFrom(table).select('id').where('app_id', '=', app).execute())
      bytes += await sizeOf(join(d.config.data, 'transcripts', `${table.slice(0, -1)}-${id}`))
  return bytes
}

async function* ofAll(d: Daemon, { measure, images }: Around): AsyncGenerator<Holding> {
  const { data } = d.config
  for (const one of await shelf(d))
    yield {
      kind: 'buildpack',
      app: null,
      name: one.name,
      bytes: one.size,
      why: 'the next build',
      spare: isIdle(d, one),
    }
  const theirs = { app: null, spare: false } as const
  for (const { id, size } of await d.db.selectFrom('sources').select(['id', 'size']).execute())
    yield { kind: 'source', name: id, bytes: size ?? 0, why: 'the next build', ...theirs }
  for (const name of await names(join(data, 'builds')))
    yield { kind: 'build', name, bytes: await measure(join(data, 'builds', name)), why: 'a build goes on', ...theirs }
  const bases = await baseImages(d.db)
  for (const base of bases) {
    const why = base.uses > 0 ? 'newest build' : 'unused'
    yield { kind: 'base image', app: null, name: base.reference, bytes: base.size, why, spare: isUnused(d, base) }
  }
  const fetched = new Set(bases.map(({ image }) => image))
  const ofStacks = stackImages(d)
  for (const { id, bytes, kept, names } of images) {
    if (kept.length > 0 || fetched.has(id)) continue
    const name = names[0] ?? id
    if (ofStacks.has(id)) yield { kind: 'stack image', name, bytes, why: 'the platform', ...theirs }
    else yield { kind: 'other image', name, bytes, why: 'not ours', ...theirs }
  }
  for (const { name, size } of await listBackups(d.config))
    yield { kind: 'backup', name, bytes: size, why: 'the platform', ...theirs }
  for (const name of ['sluice.db', 'sluice.db-wal'])
    yield { kind: 'database', name, bytes: await sizeOf(join(data, name)), why: 'the platform', ...theirs }
}

/** Ids of those that this host has. */
function stackImages(d: Daemon): Set<string> {
  const ids = new Set<string>()
  for (const name of stacks)
    try {
      const { run, build } = d.stack(name)
      ids.add(run).add(build)
    } catch {
      // This host has none, or the apps bring their own.
    }
  return ids
}

const names = (folder: string): Promise<string[]> => readdir(folder).catch(() => [])

const sizeOf = (path: string): Promise<number> =>
  stat(path).then(
    ({ size }) => size,
    () => 0,
  )
