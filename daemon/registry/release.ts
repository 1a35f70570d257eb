import { randomUUID } from 'node:crypto'
import type { Account } from '../account/account.ts'
import type { App } from '../app/app.ts'
import { currentImages, imageSlug } from '../build/container/image.ts'
import { withRoom } from '../build/disk.ts'
import { checkTypes } from '../build/procfile.ts'
import { insertSlug, removeSlug, type Slug } from '../build/slug/slug.ts'
import type { Daemon } from '../daemon.ts'
import { buildRepository, EngineError, EngineGone, ImageError } from '../engine/engine.ts'
import { invalid, notFound, UserError } from '../errors.ts'
import { failpoint } from '../failpoint.ts'
import { limits } from '../limits.ts'
import { expectOutput } from '../release/outcome.ts'
import { announceRelease, createRelease, newestNotFailed, type Release } from '../release/release.ts'
import type { ProcessImage } from '../run/code.ts'
import { announceScale, decideScale, type FormationUpdate, scale } from '../run/formation.ts'
import { decide } from '../store/database.ts'
import { parseReference, pullFromElsewhere, type Reference } from './elsewhere.ts'
import { digestFor, findManifest, type Manifest, PLATFORM, tagsOf } from './manifest.ts'
import { repositoryOf } from './name.ts'
import { pullPushed } from './pull.ts'
import { RegistryError } from './refusal.ts'

/** What a process type is to run: an image by its id or digest, or none any more. */
export interface ImageUpdate {
  type: string
  image: string | null
}

/** What is asked for as one: images to release, and how many and how large their dynos are to be. */
export interface ImageRelease {
  images: ImageUpdate[]
  scales: FormationUpdate[]
}

/**
 * Releases images (`heroku container:release`): of what was pushed to the app's repositories, or of another registry by digest. Process types
 * that are not named keep what they have. The engine has all of them before there is a release, and what is scaled with them is one decision
 * with it: both or none. Undefined when the app has that release already. Throws UserError.
 */
export async function releaseImages(
  d: Daemon,
  app: App,
  account: Account,
  { images, scales }: ImageRelease,
): Promise<Release | undefined> {
  requireContainer(app)
  checkTypes(Object.fromEntries(images.map(({ type }) => [type, type])))
  const wanted = images.map(({ type, image }) => ({ type, image: image === null ? null : parseImage(image) }))
  // a name for as long as no slug holds them: it is swept after a crash
  const hold = buildRepository(randomUUID())
  try {
    const changes = new Map<string, ProcessImage | null>()
    for (const { type, image } of wanted) changes.set(type, image && (await fetchImage(d, app, { type, image, hold })))
    await failpoint('image.pulled')
    return await releaseChanges(d, app, account, { changes, scales })
  } finally {
    // whatever has come of the release; the next start lets go of what is still held
    await d.engine.images.forget(hold).catch((error: unknown) => d.log.warn('images are still held', { error }))
  }
}

interface Changes {
  changes: ReadonlyMap<string, ProcessImage | null>
  scales: FormationUpdate[]
}

/** Based on the newest release that has not failed; what changes that in the meantime is not lost. */
async function releaseChanges(
  d: Daemon,
  app: App,
  account: Account,
  { changes, scales }: Changes,
): Promise<Release | undefined> {
  if (scales.length > 0) await d.capacity.measure()
  for (;;) {
    const base = await newestNotFailed(d.db, app.id)
    const current = await currentImages(d.db, app.id)
    const images = merge(current.images, changes)
    if (!images) {
      if (scales.length > 0) await scale(d, app, account, scales)
      return undefined
    }
    // They came with the code of web.
    const checks = changes.has('web') ? undefined : current.checks
    const slug = await imageSlug(d, { app, images, commit: null, commitDescription: null, checks })
    const keeps = [...current.images.keys()].some((type) => !changes.has(type))
    const making = { app, account, slug, base: base?.id, keeps, changes, scales }
    const made = await makeRelease(d, making).catch(async (error) => {
      await removeSlug(d, slug)
      throw error
    })
    if (!made) {
      await removeSlug(d, slug)
      continue
    }
    const { release, scaled } = made
    if (release.phase) await expectOutput(d, release.id)
    announceRelease(d, release, account, release.description)
    if (scaled.length > 0) await announceScale(d, { app, account, changed: scaled })
    return release
  }
}

interface Making extends Changes {
  app: App
  account: Account
  slug: Slug
  /** The release that the slug was made from. */
  base: string | undefined
  /** Images of that release are in the slug, beside those that are released now. */
  keeps: boolean
}

/** Undefined when there is another base by now. */
const makeRelease = (d: Daemon, { app, account, slug, base, keeps, changes, scales }: Making) =>
  decide(d.db, async (tx) => {
    if ((await newestNotFailed(tx, app.id))?.id !== base) return undefined
    await insertSlug(tx, slug)
    const release = await createRelease(d, tx, {
      ...{ app: app.id, account, slugId: slug.id, keeps },
      description: describe(changes),
    })
    return { release, scaled: scales.length > 0 ? await decideScale(d, tx, { app, account, updates: scales }) : [] }
  })

/** Pure. The images of the next release; undefined when they are those of this one. */
export function merge(
  current: ReadonlyMap<string, ProcessImage>,
  changes: ReadonlyMap<string, ProcessImage | null>,
): Map<string, ProcessImage> | undefined {
  const images = new Map(current)
  for (const [type, image] of changes) {
    if (image) images.set(type, image)
    else if (!images.delete(type)) throw notFound(`process type (${type})`, 'formation')
  }
  const same = ([type, { id, command }]: [string, ProcessImage]): boolean =>
    current.get(type)?.id === id && current.get(type)?.command === command
  return images.size === current.size && [...images].every(same) ? undefined : images
}

/** Pure. In Heroku's words: `Deployed web (b5bb9d8014a0), worker (7d865e959b24)`. */
export function describe(changes: ReadonlyMap<string, ProcessImage | null>): string {
  const deployed = [...changes].flatMap(([type, image]) => (image ? [`${type} (${image.id.slice(7, 19)})`] : []))
  const removed = [...changes].flatMap(([type, image]) => (image ? [] : [type]))
  return [
    ...(deployed.length > 0 ? [`Deployed ${deployed.join(', ')}`] : []),
    ...(removed.length > 0 ? [`Removed ${removed.join(', ')}`] : []),
  ].join('. ')
}

function requireContainer({ name, stack }: App): void {
  if (stack !== 'container')
    throw invalid(
      `Images are released on the container stack, and ${name} is on ${stack}. Run \`heroku stack:set container -a ${name}\` first.`,
    )
}

type Image = { kind: 'pushed'; id: string } | { kind: 'elsewhere'; reference: Reference }

function parseImage(text: string): Image {
  return /^sha256:[a-f0-9]{64}$/.test(text)
    ? { kind: 'pushed', id: text }
    : { kind: 'elsewhere', reference: parseReference(text) }
}

interface Fetched {
  type: string
  image: Image
  hold: string
}

/** Has the engine get it, and holds it. */
async function fetchImage(d: Daemon, app: App, { type, image, hold }: Fetched): Promise<ProcessImage> {
  const signal = AbortSignal.timeout(limits.imagePull)
  const fetch = (pull: (how: { as: string; signal: AbortSignal }) => Promise<string>) =>
    withRoom(d.engine.images, signal, (end) => pull({ as: `${hold}:${type}`, signal: end }))
  try {
    const id =
      image.kind === 'elsewhere'
        ? await fetch((how) => pullFromElsewhere(d, image.reference, how))
        : await d.registry.keep(async () => {
            const there = await findPushed(d, app, type, image.id)
            return fetch((how) => pullPushed(d, there, how))
          })
    await requirePlatform(d, type, id)
    return { id, command: null }
  } catch (error) {
    if (signal.aborted)
      throw new UserError(
        'request_timeout',
        `The image of ${type} could not be fetched within ${limits.imagePull / 60_000} minutes.`,
      )
    if (error instanceof ImageError)
      throw new UserError(
        'invalid_params',
        `The engine cannot use the image of ${type}: what was pushed is damaged, or not for it. Build and push it again.`,
        { cause: error },
      )
    if (error instanceof EngineError)
      throw new UserError(
        'maintenance',
        `The image of ${type} could not be fetched, because the container engine ${error instanceof EngineGone ? 'does not answer' : 'failed'}. Nothing was released. Try again in a minute.`,
        { cause: error },
      )
    if (!(error instanceof RegistryError)) throw error
    throw new UserError(error.code === 'UNAVAILABLE' ? 'maintenance' : 'invalid_params', error.message, {
      cause: error,
    })
  }
}

/** By the id of the image, which is the digest of its configuration, or by the digest of its manifest or of a list with it. */
async function findPushed(
  { registry }: Daemon,
  app: App,
  type: string,
  id: string,
): Promise<{ repository: string; digest: string }> {
  const repository = repositoryOf(app, type)
  for (const reference of [id, ...(await tagsOf(registry, repository))]) {
    const named = await findManifest(registry, repository, reference)
    const image = named?.manifests ? await imageIn(registry, repository, named) : named
    if (image && (reference === id || image.config?.digest === id || image.digest === id))
      return { repository, digest: image.digest }
  }
  throw new UserError(
    'not_found',
    `No image ${id.slice(0, 19)} was pushed for ${type} of ${app.name}. Push it first: \`heroku container:push ${type} -a ${app.name}\`.`,
    { resource: 'docker_image' },
  )
}

function imageIn(registry: Daemon['registry'], repository: string, list: Manifest) {
  const digest = digestFor(list)
  return digest === undefined ? undefined : findManifest(registry, repository, digest)
}

async function requirePlatform(d: Daemon, type: string, id: string): Promise<void> {
  const own = `${PLATFORM.os}/${PLATFORM.architecture}`
  const platform = (await d.engine.images.inspect(id))?.platform
  if (platform !== own)
    throw invalid(
      `The image of ${type} is for ${platform}, and dynos run on ${own}. Build it with \`docker build --platform ${own}\` and push it again.`,
    )
}
