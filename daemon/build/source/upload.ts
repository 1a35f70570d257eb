import { randomUUID } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { Selectable } from 'kysely'
import type { Daemon } from '../../daemon.ts'
import { notFound } from '../../errors.ts'
import { failpoint } from '../../failpoint.ts'
import { limits } from '../../limits.ts'
import { flush } from '../../run/tree.ts'
import { type DbOrTx, decide } from '../../store/database.ts'
import type { Schema } from '../../store/schema.ts'
import { linkTo, opens } from './link.ts'
import { storeArchive } from './source.ts'

/**
 * A source that a client sends before it asks for a build of it: an archive in `sources/<id>.<checksum>`, for a day at most.
 *
 *   (createUpload) --> awaited -- the whole archive is on disk (receiveUpload) --> here -- receiveUpload --> here
 *                         +-- a day, or too many of one account (sweepUploads, createUpload) --> gone
 */
export type Upload = Selectable<Schema['sources']>

/** A new one, and the links by which it is sent and fetched. */
export async function createUpload(
  d: Daemon,
  account: { id: string },
  api: string,
): Promise<{ get_url: string; put_url: string }> {
  const now = d.clock.now()
  const id = randomUUID()
  await remove(d, await beyond(d.db, account.id))
  await d.db
    .insertInto('sources')
    .values({ id, account_id: account.id, checksum: null, size: null, created_at: now, updated_at: now })
    .execute()
  return { get_url: linkTo(d, api, 'get', pathOf(id)), put_url: linkTo(d, api, 'put', pathOf(id)) }
}

/** Takes the archive. It is on disk, whole, when this resolves; sent again it takes the place of what was there. */
export async function receiveUpload(d: Daemon, id: string, archive: Readable, signal: AbortSignal): Promise<void> {
  await findUpload(d.db, id)
  await d.disk.makeRoom()
  await mkdir(folderOf(d), { recursive: true })
  const part = join(folderOf(d), `${randomUUID()}.part`)
  try {
    const stored = await storeArchive(archive, part, { signal, time: limits.uploadTime })
    const file = fileOf(d, { id, ...stored })
    // Row and file in one decision, whoever else sends what at once; a file that is not what its row says is never read.
    const before = await decide(d.db, async (tx) => {
      const before = await findUpload(tx, id)
      await rename(part, file)
      try {
        await failpoint('source.placed')
        await flush(folderOf(d))
        await tx
          .updateTable('sources')
          .set({ ...stored, updated_at: d.clock.now() })
          .where('id', '=', id)
          .execute()
      } catch (error) {
        if (before.checksum !== stored.checksum) await rm(file, { force: true })
        throw error
      }
      return before
    })
    if (before.checksum !== stored.checksum) await removeReplaced(d, before)
  } finally {
    await rm(part, { force: true })
  }
}

/** Unless the same has been sent once more meanwhile. */
const removeReplaced = (d: Daemon, before: Upload): Promise<void> =>
  decide(d.db, async (tx) => {
    const now = await tx.selectFrom('sources').select('checksum').where('id', '=', before.id).executeTakeFirst()
    if (now?.checksum !== before.checksum) await rm(fileOf(d, before), { force: true })
  })

/**
 * The archive behind a link that this platform gave out, or undefined when the link is not of here. The file is the caller's to close.
 * Throws UserError when there is none, or when the link is too old.
 */
export async function openUpload(d: Daemon, url: string): Promise<{ file: FileHandle; checksum: string } | undefined> {
  const { pathname, searchParams } = new URL(url)
  const id = /^\/sources\/([0-9a-f-]{36})$/.exec(pathname)?.[1]
  if (id === undefined) return undefined
  const opened = opens(d, 'get', pathname, searchParams.get('key') ?? '')
  // One decision, so that what is sent again meanwhile does not take the file away in between.
  return decide(d.db, async (tx) => {
    const upload = await tx.selectFrom('sources').selectAll().where('id', '=', id).executeTakeFirst()
    if (!upload) return undefined
    if (!opened) throw notFound('source, or its link is too old. Send it again, see POST /sources', 'source')
    const file = await open(fileOf(d, upload)).catch(() => undefined)
    if (!file || upload.checksum === null) throw notFound('source. Send it with PUT to put_url first', 'source')
    return { file, checksum: upload.checksum }
  })
}

/** Removes what is too old, and files that no row knows; not those that are being received. */
export async function sweepUploads(d: Daemon): Promise<void> {
  const old = d.clock.now() - limits.sourceKept
  await d.db.deleteFrom('sources').where('created_at', '<=', old).execute()
  const names = await filesOf(d)
  const known = new Set((await d.db.selectFrom('sources').select('id').execute()).map(({ id }) => id))
  for (const name of names)
    if (!name.endsWith('.part') && !known.has(name.replace(/\..*$/, '')))
      await rm(join(folderOf(d), name), { force: true })
}

/**
 * At start, when nothing is being received: removes what a crash has left, which is all that is not what a row says, and rows whose file is
 * not here, as after a restore.
 */
export async function recoverUploads(d: Daemon): Promise<void> {
  const uploads = await d.db.selectFrom('sources').select(['id', 'checksum']).execute()
  const known = new Map(uploads.map((upload) => [fileOf(d, upload), upload]))
  for (const name of await filesOf(d)) {
    const path = join(folderOf(d), name)
    if (!known.delete(path)) await rm(path, { force: true })
  }
  const lost = [...known.values()].filter(({ checksum }) => checksum !== null).map(({ id }) => id)
  if (lost.length > 0) await d.db.deleteFrom('sources').where('id', 'in', lost).execute()
}

async function filesOf(d: Daemon): Promise<string[]> {
  await mkdir(folderOf(d), { recursive: true })
  return readdir(folderOf(d))
}

async function findUpload(db: DbOrTx, id: string): Promise<Upload> {
  const upload = await db.selectFrom('sources').selectAll().where('id', '=', id).executeTakeFirst()
  if (!upload) throw notFound('source', 'source')
  return upload
}

/** The oldest of an account that must go before it may have another. */
const beyond = (db: DbOrTx, account: string) =>
  db
    .selectFrom('sources')
    .selectAll()
    .where('account_id', '=', account)
    .orderBy('created_at', 'desc')
    .limit(-1)
    .offset(limits.sourcesPerAccount - 1)
    .execute()

/** Row first: a file without a row is removed at the next sweep, a row without a file would be an error to its reader. */
async function remove(d: Daemon, uploads: Upload[]): Promise<void> {
  for (const upload of uploads) {
    await d.db.deleteFrom('sources').where('id', '=', upload.id).execute()
    await rm(fileOf(d, upload), { force: true })
  }
}

const pathOf = (id: string): string => `/sources/${id}`
export const folderOf = (d: Pick<Daemon, 'config'>): string => join(d.config.data, 'sources')
const fileOf = (d: Pick<Daemon, 'config'>, { id, checksum }: Pick<Upload, 'id' | 'checksum'>): string =>
  join(folderOf(d), `${id}.${checksum}`)
