import { createHash, randomUUID } from 'node:crypto'
import type { Daemon } from '../../daemon.ts'
import type { ImageInfo } from '../../engine/engine.ts'
import { invalid, UserError } from '../../errors.ts'
import { failpoint } from '../../failpoint.ts'
import { limits } from '../../limits.ts'
import { newestNotFailed } from '../../release/release.ts'
import type { DynoChecks } from '../../route/table.ts'
import { imagesOf, type ProcessImage } from '../../run/code.ts'
import { slugOf } from '../../run/desired.ts'
import type { DbOrTx } from '../../store/database.ts'
import { checksIn, columnOf } from '../check.ts'
import type { Slug } from '../slug/slug.ts'

export interface ImageSlug {
  app: { id: string }
  /** By process type, `release` included. */
  images: ReadonlyMap<string, ProcessImage>
  commit: string | null
  commitDescription: string | null
  /** Of its web dynos. */
  checks?: DynoChecks | undefined
}

/**
 * The row of a slug that is images instead of files, which are held under its id from now on. Inserting the row is the caller's, as is
 * `removeSlug` when it comes to nothing; after a crash that is done at the next start. Throws UserError for what cannot run.
 */
export async function imageSlug(d: Daemon, asked: ImageSlug): Promise<Slug> {
  const { app, images, commit, commitDescription } = asked
  const id = randomUUID()
  const shown: Record<string, string> = {}
  const sizes = new Map<string, number>()
  for (const [type, image] of images) {
    const found = await d.engine.images.inspect(image.id)
    if (!found) throw new UserError('gone', `The image of ${type} is no longer on this host. Deploy the app again.`)
    shown[type] = image.command ?? ownCommand(type, found)
    sizes.set(found.id, found.size)
  }
  const checks = columnOf(asked.checks)
  await holdImages(d, id, images)
  return {
    ...{ id, app_id: app.id, key: '', files: '', commit, commit_description: commitDescription, archive: 'ready' },
    checksum: `SHA256:${createHash('sha256')
      .update(JSON.stringify([[...images].sort(), checks]))
      .digest('hex')}`,
    size: [...sizes.values()].reduce((sum, size) => sum + size, 0),
    process_types: JSON.stringify(shown),
    ...{ buildpack_description: '', stack: 'container', created_at: d.clock.now(), deleted_at: null },
    images: JSON.stringify(Object.fromEntries(images)),
    checks,
  }
}

/** As long as it is held under a slug's id, an image stays. All of them are held, or none. */
export async function holdImages(d: Daemon, slug: string, images: Iterable<[string, ProcessImage]>): Promise<void> {
  try {
    for (const [type, { id }] of images) await d.engine.images.keep(id, `${slug}:${type}`)
    await failpoint('image.held')
  } catch (error) {
    await releaseImages(d, slug).catch(() => {})
    throw error
  }
}

/** Those of the app's newest release that has not failed: what is released of one process type leaves the others as they are. */
export async function currentImages(
  db: DbOrTx,
  app: string,
): Promise<{ images: Map<string, ProcessImage>; checks: DynoChecks | undefined }> {
  const release = await newestNotFailed(db, app)
  const slug = release && (await slugOf(db, release.id))
  const images = slug && imagesOf(slug)
  return { images: new Map(Object.entries(images ?? {})), checks: images ? checksIn(slug.checks) : undefined }
}

/** The image's ENTRYPOINT and CMD, as people are shown them. */
function ownCommand(type: string, { config }: ImageInfo): string {
  const words = [...(config.entrypoint ?? []), ...(config.cmd ?? [])]
  if (words.length === 0)
    throw invalid(
      `The image of ${type} has neither CMD nor ENTRYPOINT, so there is nothing to run. Add a CMD to its Dockerfile, or a command to \`run\` in heroku.yml.`,
    )
  return shellWords(words).slice(0, limits.commandShown)
}

/** Each word as a shell reads it, escaped as Heroku shows it. */
export const shellWords = (words: readonly string[]): string =>
  words.map((word) => (word === '' ? "''" : word.replace(/[^\w\-.,:+/@\n]/g, '\\$&').replace(/\n/g, "'\n'"))).join(' ')

/** Slugs that were let go while a container of theirs was still there. */
const lingering = new Set<string>()

/** The images of a slug that is gone may go too. */
export async function releaseImages(d: Daemon, slug: string): Promise<void> {
  if (await d.engine.images.forget(slug)) lingering.delete(slug)
  else lingering.add(slug)
}

/** Every hour: also what a deleted slug still holds, because the engine was not there when it was deleted. */
export async function sweepImages(d: Daemon): Promise<void> {
  const rows = d.db.selectFrom('slugs').select('id').where('images', 'is not', null).where('deleted_at', 'is not', null)
  const deleted = new Set((await rows.execute()).map(({ id }) => id))
  for (const slug of await slugsWithImages(d)) if (deleted.has(slug)) lingering.add(slug)
  for (const slug of lingering) await releaseImages(d, slug)
}

/** At start, when nothing is being built: lets go of what is held for no row. */
export async function recoverImages(d: Daemon): Promise<void> {
  const rows = d.db.selectFrom('slugs').select('id').where('images', 'is not', null).where('deleted_at', 'is', null)
  const known = new Set((await rows.execute()).map(({ id }) => id))
  for (const slug of await slugsWithImages(d)) if (!known.has(slug)) await releaseImages(d, slug)
}

/** Ids of slugs under which images are held. */
export const slugsWithImages = async (d: Daemon): Promise<Set<string>> =>
  new Set((await d.engine.images.kept()).map((name) => name.split(':')[0] ?? '').filter((name) => SLUG_ID.test(name)))

const SLUG_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
