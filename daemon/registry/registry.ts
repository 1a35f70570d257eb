import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { Daemon } from '../daemon.ts'
import { messageOf } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'
import { imagesOf } from '../run/code.ts'
import { type Component, createComponent } from './component.ts'
import { dropTags, dropUntagged, list, sizeOf } from './stored.ts'

/** The component, and the room that pushed images take in it. */
export interface Registry extends Component {
  /** Runs what needs that nothing goes meanwhile: nothing is collected while it runs, and it waits while something is. */
  keep<Done>(work: () => Promise<Done>): Promise<Done>
  /** The same for what pushes. */
  write(work: () => Promise<void>): Promise<void>
  /** Bytes of what was pushed for an app and not collected yet; layers that apps share count with each. Of a registry elsewhere 0. */
  used(app: string): Promise<number>
  /** Removes the repositories of an app; their blobs go with a sweep. */
  remove(app: string): Promise<void>
  /**
   * Removes repositories of apps that are not live, tags of images that were not released for limits.pushedKept, images that no tag names
   * any more, and the blobs of all these; but for the first only when nobody has pushed for limits.registryQuiet, because the blobs of an
   * image come before it. Of a registry that runs elsewhere nothing.
   */
  sweep(needs: Needs, quiet?: number): Promise<void>
}

/** Who needs what was pushed. */
export interface Needs {
  /** Those of these apps that there are. */
  live(apps: string[]): Promise<Set<string>>
  /** Ids of the images that releases of an app have. */
  released(app: string): Promise<Set<string>>
}

export function createRegistry(parts: { config: Pick<Config, 'data' | 'registry'>; clock: Clock; log: Log }): Registry {
  const component = createComponent(parts)
  const { clock, log } = parts
  const { storage } = component
  let keepers = 0
  let written = clock.now()
  let collecting: Promise<void> | undefined
  /** Whether there can be anything to collect: unknown at start. */
  let changed = true

  const repositoriesOf = async (folder: string, app: string): Promise<string[]> =>
    (await list(join(folder, app))).map((type) => join(folder, app, type))
  const forget = async (folder: string, app: string, released: Needs['released']): Promise<void> => {
    let ids: Promise<Set<string>> | undefined
    const wanted = { before: clock.now() - limits.pushedKept, released: () => (ids ??= released(app)) }
    let tags = 0
    for (const repository of await repositoriesOf(folder, app))
      tags += await dropTags(join(folder, '..'), repository, wanted)
    if (tags === 0) return
    changed = true
    log.info('removed images that were pushed and not released', { app, tags })
  }
  const collect = async (folder: string, released: Needs['released']): Promise<void> => {
    const apps = await list(folder)
    for (const app of apps) await forget(folder, app, released)
    if (!changed) return
    changed = false
    for (const app of apps)
      for (const repository of await repositoriesOf(folder, app)) await dropUntagged(join(folder, '..'), repository)
    await component.collect()
  }
  const remove = async (app: string): Promise<void> => {
    if (storage === undefined) return
    await rm(join(storage, app), { recursive: true, force: true })
    changed = true
  }
  const keep = async <Done>(work: () => Promise<Done>): Promise<Done> => {
    while (collecting) await collecting
    keepers++
    try {
      return await work()
    } finally {
      keepers--
    }
  }
  return {
    ...component,
    remove,
    async used(app) {
      if (storage === undefined) return 0
      return sizeOf(join(storage, '..'), await repositoriesOf(storage, app))
    },
    async write(work) {
      try {
        await keep(work)
      } finally {
        written = clock.now()
        changed = true
      }
    },
    keep,
    async sweep({ live, released }, quiet = limits.registryQuiet) {
      if (storage === undefined) return
      // in this order, so that an app which is new is not taken for one that is gone
      const there = await list(storage)
      const apps = await live(there)
      for (const app of there) if (!apps.has(app)) await remove(app)
      if (collecting || keepers > 0 || clock.now() - written < quiet) return
      collecting = collect(storage, released).catch((error: unknown) => {
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
  await d.registry.sweep({
    async live(apps) {
      const live = apps.length === 0 ? [] : await d.db.selectFrom('apps').select('id').where('id', 'in', apps).execute()
      return new Set(live.map(({ id }) => id))
    },
    async released(app) {
      const slugs = d.db.selectFrom('slugs').select('images').where('app_id', '=', app).where('deleted_at', 'is', null)
      return new Set((await slugs.execute()).flatMap((slug) => Object.values(imagesOf(slug) ?? {}).map(({ id }) => id)))
    },
  })
}
