import { randomUUID } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { App } from '../../app/app.ts'
import type { Daemon } from '../../daemon.ts'
import { currentConfig } from '../../release/config.ts'
import { buildFolder } from '../build.ts'
import { chosenBuildpacks, defaultBuildpacks, type Selection } from '../buildpack/buildpack.ts'
import { listedBuildpacks } from '../buildpack/listing.ts'
import { columnOf } from '../check.ts'
import type { BuildRequest, Deploy } from '../deploy.ts'
import { settle } from '../first-deploy.ts'
import type { Made } from '../kind.ts'
import { formatSize } from '../output.ts'
import { readSource, receiveSource } from '../source/source.ts'
import { type Compiled, compile } from './compile.ts'
import { keyOf } from './key.ts'
import { keepSlug, releaseOf, removeSlug, type Slug, slugWithChecksum, slugWithKey } from './slug.ts'

/** The build kind `buildpack`: compiles a slug, or takes the one that was made of the same before. */
export async function makeSlug(deploy: Deploy): Promise<Made> {
  const { d, request, build, output, stopwatch } = deploy
  const { app, signal } = request
  const stack = d.stack(app.stack)
  output.step(`Building on the ${app.stack.replace(/^h/, 'H')} stack`)
  if (stack.origin === 'debian') output.detail('(its image is made from Debian packages on this host)')
  stopwatch.enter('lay', d.clock.now())
  const { archive: sent, key: source } = await request.open(signal)
  const config = await currentConfig(d, app.id)
  const { archive, selection } = await select(deploy, sent, config)
  for (const warning of selection.warnings) output.problem(warning)
  for (const note of selection.notes) output.detail(`(${note})`)
  const keyWith = (one: Pick<Selection, 'mode' | 'buildpacks'>) =>
    keyOf(d, { source, stack: stack.build, selection: one, config })
  const known = await slugWithKey(d, app.id, await keyWith(selection))
  if (known) {
    archive.resume()
    return reuse({ d, output, request }, known)
  }
  const job = {
    build: build.id,
    app,
    version: request.version ?? '',
    archive,
    selection,
    config,
    output,
    stopwatch,
    signal,
  }
  const result = await compile(d, job)
  // What was detected is set from now on, so the next build of the same looks for it as chosen.
  const key = await keyWith({ mode: 'chosen', buildpacks: result.used })
  await settle(deploy, result.wanted)
  stopwatch.enter('keep', d.clock.now())
  const slug = await slugOf(d, { app, request, key, result })
  if (slug.files === slug.id)
    await keepSlug(d, slug, result).catch(async (error: unknown) => {
      await removeSlug(d, slug)
      throw error
    })
  output.detail(`Done: ${formatSize(slug.size)}`)
  output.detail(slug.checksum)
  const detected = selection.mode === 'detect' ? result.used[0]?.url : undefined
  return { slug, buildpacks: result.buildpacks, detected }
}

/** What the source itself lists counts when nobody has named a buildpack; then the source has been received, to look. */
async function select({ d, request, build, output }: Deploy, archive: Readable, config: Record<string, string>) {
  const { app, signal, buildpacks = [] } = request
  const chosen = await chosenBuildpacks(d, app.id, signal, { named: buildpacks, config })
  if (chosen) return { archive, selection: chosen }
  const folder = buildFolder(d.config, build.id)
  await mkdir(folder, { recursive: true })
  const path = join(folder, 'source.tar')
  await receiveSource(archive, path, { signal })
  const listed = await listedBuildpacks(path)
  if (listed.length > 0) output.step('Using .buildpacks of this source, because no buildpack is set')
  const selection = await chosenBuildpacks(d, app.id, signal, { named: listed, config })
  return { selection: selection ?? (await defaultBuildpacks(d, signal)), archive: readSource(path) }
}

/** A slug of its own, because that names its commit; the files are those of the one that is known. */
async function reuse({ d, output, request }: Pick<Deploy, 'd' | 'output' | 'request'>, known: Slug): Promise<Made> {
  const version = await releaseOf(d.db, known.id)
  output.step(
    `Reusing slug${version === undefined ? '' : ` of v${version}`} (source, buildpacks, config and stack are the same)`,
  )
  const before = await d.db
    .selectFrom('builds')
    .select('buildpacks')
    .where('slug_id', '=', known.id)
    .orderBy('created_at', 'desc')
    .limit(1)
    .executeTakeFirst()
  const slug: Slug = { ...known, id: randomUUID(), ...sourceOf(request), created_at: d.clock.now(), deleted_at: null }
  return { slug, buildpacks: before ? JSON.parse(before.buildpacks) : [] }
}

const sourceOf = ({ version, blob }: BuildRequest) => ({
  commit: version,
  commit_description: blob?.description ?? null,
})

/** With the files of another slug of the app when this build made the same again. */
async function slugOf(
  d: Daemon,
  { app, request, key, result }: { app: App; request: BuildRequest; key: string; result: Compiled },
): Promise<Slug> {
  const id = randomUUID()
  const same = await slugWithChecksum(d, app.id, result.checksum)
  return {
    ...{ id, app_id: app.id, key, files: same?.files ?? id, archive: 'ready', ...sourceOf(request) },
    checksum: result.checksum,
    size: result.size,
    process_types: JSON.stringify(Object.fromEntries(result.processTypes)),
    buildpack_description: result.description,
    stack: app.stack,
    images: null,
    checks: columnOf(result.checks),
    created_at: d.clock.now(),
    deleted_at: null,
  }
}
