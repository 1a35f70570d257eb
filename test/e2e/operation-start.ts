import { randomUUID } from 'node:crypto'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { limits } from '../../daemon/limits.ts'
import { type Db, openDatabase } from '../../daemon/store/database.ts'
import { done, type Operation, refused } from './operation.ts'
import type { Platform } from './platform.ts'
import { readRows } from './whole-rows.ts'

/** A daemon is started where much is to be cleared away. */
export interface Starts {
  /** A build that another daemon began. */
  interrupted: Operation
  /** More builds than are kept. */
  oldBuilds: Operation
  /** A slug that was never released. */
  oldSlug: Operation
}

export function starts(platform: Platform): Starts {
  /** Stops the daemon, leaves something for the next one, and starts that. */
  const over = async (leave: (db: Db) => Promise<void>) => {
    await platform.daemon.kill()
    const db = await openDatabase(join(platform.data, 'sluice.db'))
    await leave(db).finally(() => db.destroy())
    return platform.startDaemon().then(
      () => done,
      (error: Error) => refused(error.message),
    )
  }
  const anyBuild = (db: Db) =>
    db.selectFrom('builds').selectAll().where('status', '=', 'succeeded').executeTakeFirstOrThrow()
  const none = { slug_id: null, release_id: null }
  let id = ''
  return {
    interrupted: {
      perform: () =>
        over(async (db) => {
          id = randomUUID()
          await db
            .insertInto('builds')
            .values({ ...(await anyBuild(db)), ...none, id, status: 'pending' })
            .execute()
          await mkdir(join(platform.data, 'builds', id, 'tmp'), { recursive: true })
        }),
      inEffect: async () =>
        (await readRows(platform.data)).builds.find((build) => build.id === id)?.status === 'failed',
    },
    oldBuilds: {
      perform: () =>
        over(async (db) => {
          id = randomUUID()
          const build = await anyBuild(db)
          for (let n = 0; n <= limits.buildsKept; n++)
            await db
              .insertInto('builds')
              .values({ ...build, ...none, id: n === 0 ? id : randomUUID(), status: 'failed', created_at: n })
              .execute()
          await writeFile(join(platform.data, 'transcripts', `build-${id}`), 'old\n')
        }),
      inEffect: async () => !(await readRows(platform.data)).builds.some((build) => build.id === id),
    },
    oldSlug: {
      perform: () =>
        over(async (db) => {
          id = randomUUID()
          const slug = await db.selectFrom('slugs').selectAll().where('images', 'is', null).executeTakeFirstOrThrow()
          const files = (name: string) => join(platform.data, 'slugs', name)
          await cp(files(slug.files), files(id), { recursive: true })
          await db
            .insertInto('slugs')
            .values({ ...slug, id, files: id, created_at: 0 })
            .execute()
        }),
      inEffect: async () => !(await readRows(platform.data)).slugs.some((slug) => slug.id === id),
    },
  }
}
