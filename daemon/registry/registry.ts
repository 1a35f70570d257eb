import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { Daemon } from '../daemon.ts'
import { messageOf } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'
import { type Component, createComponent } from './component.ts'

/** The component, and the room that pushed images take in it. */
export interface Registry extends Component {
  /** Runs what pushes. It waits while blobs are being collected, which needs that nobody writes. */
  write(work: () => Promise<void>): Promise<void>
  /** Bytes of what was pushed for an app and not collected yet; layers that apps share count with each. Of a registry elsewhere 0. */
  used(app: string): Promise<number>
  /** Removes the repositories of an app; their blobs go with a sweep. */
  remove(app: string): Promise<void>
  /**
   * Removes repositories of apps that are not live, images that no tag names any more, and the blobs of both; blobs only when nobody
   * has pushed for limits.registryQuiet, because those of an image come before it. Of a registry that runs elsewhere nothing.
   */
  sweep(liveOf: (apps: string[]) => Promise<Set<string>>, quiet?: number): Promise<void>
}

export function createRegistry(parts: { config: Pick<Config, 'data' | 'registry'>; clock: Clock; log: Log }): Registry {
  const component = createComponent(parts)
  const { clock, log } = parts
  const { storage } = component
  let writers = 0
  let written = clock.now()
  let collecting: Promise<void> | undefined
  /** Whether there can be anything to collect: unknown at start. */
  let changed = true

  const collect = async (folder: string): Promise<void> => {
    changed = false
    for (const app of await list(folder))
      for (const type of await list(join(folder, app))) await dropUntagged(join(folder, '..'), join(folder, app, type))
    await component.collect()
  }
  const remove = async (app: string): Promise<void> => {
    if (storage === undefined) return
    await rm(join(storage, app), { recursive: true, force: true })
    changed = true
  }
  return {
    ...component,
    remove,
    async used(app) {
      if (storage === undefined) return 0
      const blobs = new Set<string>()
      for (const type of await list(join(storage, app)))
        for (const part of ['_layers', '_manifests/revisions'])
          for (const hex of await list(join(storage, app, type, part, 'sha256'))) blobs.add(hex)
      let bytes = 0
      for (const hex of blobs) bytes += await size(blobPath(join(storage, '..'), hex))
      return bytes
    },
    async write(work) {
      while (collecting) await collecting
      writers++
      try {
        await work()
      } finally {
        writers--
        written = clock.now()
        changed = true
      }
    },
    async sweep(liveOf, quiet = limits.registryQuiet) {
      if (storage === undefined) return
      // in this order, so that an app which is new is not taken for one that is gone
      const there = await list(storage)
      const live = await liveOf(there)
      for (const app of there) if (!live.has(app)) await remove(app)
      if (collecting || !changed || writers > 0 || clock.now() - written < quiet) return
      collecting = collect(storage).catch((error: unknown) => {
        changed = true
        log.warn('blobs of images could not be collected', { error: messageOf(error) })
      })
      await collecting
      collecting = undefined
    },
  }
}

/** For every hour. */
export async function sweepRegistry(d: Daemon): Promise<void> {
  await d.registry.sweep(async (apps) => {
    const live = apps.length === 0 ? [] : await d.db.selectFrom('apps').select('id').where('id', 'in', apps).execute()
    return new Set(live.map(({ id }) => id))
  })
}

const List = z.object({ manifests: z.array(z.object({ digest: z.string() })).default([]) })

/**
 * Forgets the images of a repository that neither a tag names nor a list that a tag names, and those whose manifest a power cut took. The
 * component can forget by itself what has no tag, but forgets the parts of lists as well. Its layout:
 * https://github.com/distribution/distribution, registry/storage/paths.go.
 */
async function dropUntagged(store: string, repository: string): Promise<void> {
  const tags = join(repository, '_manifests', 'tags')
  const revisions = join(repository, '_manifests', 'revisions', 'sha256')
  const named = new Set<string>()
  const name = async (digest: string): Promise<void> => {
    const hex = digest.replace(/^sha256:/, '')
    const manifest = await text(blobPath(store, hex))
    const parts = manifest === undefined ? undefined : partsOf(manifest)
    if (parts === undefined || named.has(hex)) return
    named.add(hex)
    for (const part of parts) await name(part)
  }
  for (const tag of await list(tags)) {
    const link = await text(join(tags, tag, 'current', 'link'))
    if (link !== undefined) await name(link.trim())
  }
  for (const hex of await list(revisions))
    if (!named.has(hex)) await rm(join(revisions, hex), { recursive: true, force: true })
}

/** Undefined for what is no manifest. */
function partsOf(manifest: string): string[] | undefined {
  try {
    return List.parse(JSON.parse(manifest)).manifests.map(({ digest }) => digest)
  } catch {
    return undefined
  }
}

const blobPath = (store: string, hex: string): string => join(store, 'blobs', 'sha256', hex.slice(0, 2), hex, 'data')
const size = (path: string): Promise<number> => stat(path).then((found) => found.size, absent(0))
const list = (folder: string): Promise<string[]> => readdir(folder).catch(absent([]))
const text = (path: string): Promise<string | undefined> => readFile(path, 'utf8').catch(absent(undefined))

const absent =
  <Value>(value: Value) =>
  (error: NodeJS.ErrnoException): Value => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return value
    throw error
  }
