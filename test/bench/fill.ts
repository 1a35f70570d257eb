import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { Insertable } from 'kysely'
import { decide, openDatabase, type Tx } from '../../daemon/store/database.ts'
import type { Schema } from '../../daemon/store/schema.ts'
import { createSeal } from '../../daemon/store/seal.ts'

export const APPS = 1000
export const RELEASES = 50
/** Every so many releases one has new code; the others change config vars. */
const CODE = 5

export const appName = (index: number): string => `app-${String(index).padStart(4, '0')}`

type Rows = { [Table in keyof Schema]?: Insertable<Schema[Table]>[] }

/** Fills an empty database with apps as they are after a year: releases, slugs, builds, dynos, domains, collaborators, activities. */
export async function fill(data: string, apps = APPS): Promise<void> {
  const db = await openDatabase(join(data, 'sluice.db'))
  const seal = createSeal(Buffer.alloc(32, 7))
  const owner = await db.selectFrom('accounts').select('id').executeTakeFirstOrThrow()
  const friend = randomUUID()
  const person = { email: 'friend@example.com', name: null, admin: 0 as const, last_login: null }
  await db
    .insertInto('accounts')
    .values({ id: friend, ...person, created_at: 0, updated_at: 0 })
    .execute()
  for (let index = 0; index < apps; index += 50)
    await decide(db, async (tx) => {
      for (let one = index; one < Math.min(apps, index + 50); one++)
        await insert(tx, appRows(one, { owner: owner.id, friend, seal: seal.seal }))
    })
  await db.destroy()
}

async function insert(tx: Tx, rows: Rows): Promise<void> {
  for (const [table, values] of Object.entries(rows))
    await tx
      .insertInto(table as 'apps')
      .values(values as Insertable<Schema['apps']>[])
      .execute()
}

function appRows(
  index: number,
  { owner, friend, seal }: { owner: string; friend: string; seal(text: string, id: string): string },
): Rows {
  const app_id = randomUUID()
  const start = 1_700_000_000_000 + index * 1000
  const at = (version: number) => ({ created_at: start + version * 60_000, updated_at: start + version * 60_000 })
  const config = JSON.stringify(
    Object.fromEntries(Array.from({ length: 20 }, (_, one) => [`VARIABLE_${one}`, 'x'.repeat(30)])),
  )
  const slugs = Array.from({ length: RELEASES / CODE }, () => randomUUID())
  const releases = Array.from({ length: RELEASES }, (_, one) => ({ id: randomUUID(), version: one + 1 }))
  const slugOf = (version: number) => slugs[Math.floor((version - 1) / CODE)] ?? null
  const release = releases.at(-1)?.id ?? ''
  const stack = 'heroku-24'
  const permissions = '["view","deploy","operate"]'
  return {
    apps: [
      {
        ...{ id: app_id, name: appName(index), owner_id: owner, stack, maintenance: 0, network: index + 1 },
        ...{ locked: 0, destroyed_at: null, ...at(0) },
      },
    ],
    collaborators: [
      { id: randomUUID(), app_id, account_id: owner, role: 'owner', permissions, ...at(0) },
      { id: randomUUID(), app_id, account_id: friend, role: 'collaborator', permissions, ...at(1) },
    ],
    slugs: slugs.map((id, one) => ({
      ...{ id, app_id, key: id, files: id, commit: 'a'.repeat(40), size: 12_345_678, stack },
      checksum: `SHA256:${'0'.repeat(64)}`,
      process_types: JSON.stringify({ web: 'node server.js', worker: 'node worker.js' }),
      ...{ buildpack_description: 'Node.js', created_at: at(one * CODE).created_at },
    })),
    releases: releases.map(({ id, version }) => ({
      ...{ id, app_id, version, description: `Set VARIABLE_${version} config vars`, slug_id: slugOf(version) },
      ...{ config: seal(config, id), account_id: owner, created_at: at(version).created_at },
    })),
    rollouts: releases.map(({ id, version }) => ({
      ...{ release_id: id, app_id, version, state: 'succeeded', attended: 0, reason: null, ...at(version) },
    })),
    builds: slugs.map((slug_id, one) => ({
      ...{ id: randomUUID(), app_id, account_id: owner, status: 'succeeded', version: 'a'.repeat(40), stack },
      ...{ buildpacks: '[]', slug_id, release_id: releases[one * CODE]?.id ?? null, failure: null, ...at(one * CODE) },
    })),
    formation: ['web', 'worker'].map((type) => ({
      ...{ id: randomUUID(), app_id, type, quantity: 1, size: 'Basic', ...at(1) },
    })),
    dynos: ['web', 'worker'].map((type) => ({
      ...{ id: randomUUID(), app_id, release_id: release, type, ordinal: 1, size: 'Basic', command: `node ${type}.js` },
      ...{ state: 'up', replace: 0, crashes: 0, retry_at: null, exit_code: null, address: '10.0.0.2', port: 3000 },
      ...{ one_off: null, ...at(RELEASES) },
    })),
    domains: [{ id: randomUUID(), app_id, hostname: `www.${appName(index)}.example.com`, ...at(1) }],
    activities: releases.map(({ version }) => ({
      ...{ app_id, account_id: owner, email: 'admin@example.com', origin: '127.0.0.1' },
      ...{ text: `Set VARIABLE_${version} config vars (v${version})`, created_at: at(version).created_at },
    })),
  }
}
