import type { Selectable } from 'kysely'
import type { Daemon } from '../daemon.ts'
import type { DynoSpec } from '../engine/engine.ts'
import type { Schema } from '../store/schema.ts'
import { codeOf } from './code.ts'
import { slugOf } from './desired.ts'
import { type Dyno, nameOf } from './dyno.ts'
import { environment, resourcesOf, subnetOf } from './environment.ts'
import { metadataOf } from './metadata.ts'
import { oneOffOf } from './oneoff.ts'
import { ensureTree } from './tree.ts'

type App = Selectable<Schema['apps']>

/** The config vars of a release. */
export const configOf = (d: Daemon, release: { id: string; config: string }): Record<string, string> =>
  JSON.parse(d.seal.open(release.config, release.id))

/** Throws when there is nothing to start it with: no code, or no image of its stack. */
export async function specOf(d: Daemon, app: App, dyno: Dyno): Promise<DynoSpec> {
  const release = await d.db
    .selectFrom('releases')
    .selectAll()
    .where('id', '=', dyno.release_id)
    .executeTakeFirstOrThrow()
  const slug = await slugOf(d.db, release.id)
  if (!slug) throw new Error(`v${release.version} has no code to run`)
  const config = configOf(d, release)
  const metadata = await metadataOf(d.db, { app, dyno, release, slug })
  const runs = codeOf(d, dyno, slug)
  const name = nameOf(dyno)
  const oneOff = oneOffOf(d, dyno)
  const port = oneOff ? undefined : dyno.port
  return {
    id: dyno.id,
    app: { id: app.id, name: app.name },
    release: { id: release.id, version: release.version },
    type: dyno.type,
    name,
    ...runs,
    env: environment({ name, port }, runs.code.kind, { ...metadata, ...config, ...oneOff?.env }),
    ...(oneOff?.terminal ? { terminal: oneOff.terminal } : {}),
    ...resourcesOf(dyno.size),
    network: { name: `sluice-${app.id}`, subnet: subnetOf(d.config.networkPool, app.network) },
  }
}

/** Resolves when the code of a release can be run: its tree may have been idle, and gone. The dyno that is to run it has its row by then. */
export async function readyCode(d: Daemon, release: string): Promise<void> {
  const slug = await slugOf(d.db, release)
  if (slug && slug.images === null) await ensureTree(d, slug.files)
}
