import { randomUUID } from 'node:crypto'
import type { App } from '../app/app.ts'
import type { Daemon } from '../daemon.ts'
import { currentConfig } from '../release/config.ts'
import { selectBuildpacks } from './buildpack.ts'
import { compile } from './compile.ts'
import type { BuildRequest, Deploy } from './deploy.ts'
import { keyOf } from './key.ts'
import type { Made } from './kind.ts'
import { formatSize, type Output } from './output.ts'
import type { Result } from './result.ts'
import { keepSlug, releaseOf, type Slug, slugWithKey } from './slug.ts'

/** The build kind `buildpack`: compiles a slug, or takes the one that was made of the same before. */
export async function makeSlug({ d, request, build, output }: Deploy): Promise<Made> {
  const { app, signal } = request
  const stack = d.stack(app.stack)
  output.step(`Building on the ${app.stack.replace(/^h/, 'H')} stack`)
  if (stack.origin === 'debian') output.detail('(its image is made from Debian packages on this host)')
  const { archive, key: source } = await request.open(signal)
  const selection = await selectBuildpacks(d, app.id, signal, request.buildpacks)
  const config = await currentConfig(d, app.id)
  const key = await keyOf({ source, stack: stack.build, selection, config })
  const known = await slugWithKey(d, app.id, key)
  if (known) {
    archive.resume()
    return reuse({ d, output }, known)
  }
  const job = {
    build: build.id,
    app,
    version: request.version ?? '',
    archive,
    selection,
    config,
    output,
    signal,
  }
  const result = await compile(d, job)
  showTypes(output, result)
  output.step('Compressing...')
  const slug = slugOf(d, { app, request, key, result })
  await keepSlug(d, slug.id, result)
  output.detail(`Done: ${formatSize(slug.size)}`)
  output.detail(slug.checksum)
  return { slug, buildpacks: result.buildpacks, fresh: true }
}

async function reuse({ d, output }: Pick<Deploy, 'd' | 'output'>, slug: Slug): Promise<Made> {
  const version = await releaseOf(d.db, slug.id)
  output.step(
    `Reusing slug${version === undefined ? '' : ` of v${version}`} (source, buildpacks, config and stack are the same)`,
  )
  const before = await d.db
    .selectFrom('builds')
    .select('buildpacks')
    .where('slug_id', '=', slug.id)
    .orderBy('created_at', 'desc')
    .limit(1)
    .executeTakeFirst()
  return { slug, buildpacks: before ? JSON.parse(before.buildpacks) : [], fresh: false }
}

const slugOf = (
  d: Daemon,
  { app, request, key, result }: { app: App; request: BuildRequest; key: string; result: Result },
): Slug => ({
  id: randomUUID(),
  app_id: app.id,
  key,
  commit: request.version,
  commit_description: request.blob?.description ?? null,
  archive: 'ready',
  checksum: result.checksum,
  size: result.size,
  process_types: JSON.stringify(Object.fromEntries(result.processTypes)),
  buildpack_description: result.description,
  stack: app.stack,
  images: null,
  checks: null,
  created_at: d.clock.now(),
})

function showTypes(output: Output, { declared, defaults, description, buildpacks, warnings }: Result): void {
  const left = 'Procfile declares types'
  const right = buildpacks.length === 1 ? `Default types for ${description}` : 'Default types for buildpack'
  const width = Math.max(left.length, right.length)
  const shown = (types: string[]) => [...types].sort().join(', ') || '(none)'
  output.step('Discovering process types')
  for (const warning of warnings) output.problem(warning)
  output.detail(`${left.padEnd(width)} -> ${shown(declared)}`)
  if (defaults.length > 0) output.detail(`${right.padEnd(width)} -> ${shown(defaults)}`)
  output.blank()
}
