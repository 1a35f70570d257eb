import { json } from 'node:stream/consumers'
import { z } from 'zod'
import { record } from '../account/activity.ts'
import type { Daemon } from '../daemon.ts'
import { limits } from '../limits.ts'
import { type Call, forward, pass, whole } from './call.ts'
import type { Component } from './component.ts'
import { isDigest } from './name.ts'
import { RegistryError } from './refusal.ts'

/** What describes one image: its configuration, whose digest is the image's id, and its layers. */
const IMAGES = ['application/vnd.docker.distribution.manifest.v2+json', 'application/vnd.oci.image.manifest.v1+json']
/** What lists images, one for each platform, and what was said of them. */
const LISTS = ['application/vnd.docker.distribution.manifest.list.v2+json', 'application/vnd.oci.image.index.v1+json']
const accept = [...IMAGES, ...LISTS].join(', ')

const Manifest = z.object({
  config: z.object({ digest: z.string() }).optional(),
  manifests: z
    .array(
      z.object({
        digest: z.string().refine(isDigest),
        platform: z.object({ os: z.string(), architecture: z.string() }).optional(),
      }),
    )
    .max(200)
    .optional(),
})
export type Manifest = z.output<typeof Manifest>

/**
 * A manifest in whatever form it was pushed. Some ask for Docker's own form alone, among them `heroku container:release`, although they
 * read the other as well; who does not ask for lists gets the image for this platform from one.
 */
export async function getManifest(d: Daemon, call: Call): Promise<void> {
  const asked = call.req.headers.accept ?? ''
  const answer = await forward(d.registry, call, { headers: { accept } })
  const type = answer.headers['content-type'] ?? ''
  if (
    answer.statusCode !== 200 ||
    !LISTS.includes(type) ||
    asked.includes(type) ||
    asked === '' ||
    asked.includes('*/*')
  )
    return pass(call, answer)
  answer.resume()
  const digest = digestFor(await readManifest(d.registry, call.repository, call.reference))
  if (digest === undefined)
    throw new RegistryError(
      'MANIFEST_UNKNOWN',
      `There is no image for ${PLATFORM.os}/${PLATFORM.architecture} in this list.`,
    )
  await pass(call, await forward(d.registry, { ...call, rest: `manifests/${digest}` }, { headers: { accept } }))
}

/** Stores a manifest; who tagged which image is on record. */
export async function putManifest(d: Daemon, call: Call): Promise<void> {
  const { req, app, account, reference, type } = call
  if (![...IMAGES, ...LISTS].includes(req.headers['content-type'] ?? ''))
    throw new RegistryError(
      'MANIFEST_INVALID',
      "Images are pushed as Docker's manifests of schema 2 or as OCI's. Update the program that pushes.",
    )
  const tagged = !isDigest(reference)
  if (tagged) await requireFreeTag(d.registry, call)
  const body = await whole(req)
  const answer = await forward(d.registry, call, { body, headers: { 'content-length': body.length } })
  if (answer.statusCode === 201 && tagged) {
    const text = `Pushed the image ${type}:${reference} (${answer.headers['docker-content-digest']})`
    await record(d.db, account, { app: app.id, text, now: d.clock.now() })
  }
  await pass(call, answer)
}

async function requireFreeTag(component: Component, { repository, reference }: Call): Promise<void> {
  const tags = await tagsOf(component, repository)
  if (tags.length >= limits.imageTags && !tags.includes(reference))
    throw new RegistryError(
      'DENIED',
      `There are ${limits.imageTags} tags of this image, which is as many as there may be. Push to one of those again.`,
    )
}

/** The tags of a repository, the one that is released first. */
export async function tagsOf(component: Component, repository: string): Promise<string[]> {
  const answer = await component.send({ method: 'GET', path: `/v2/${repository}/tags/list` })
  if (answer.statusCode !== 200) {
    answer.resume()
    if (answer.statusCode === 404) return []
    throw new RegistryError(
      'UNAVAILABLE',
      'The image registry of this platform cannot say what it has. Try again soon.',
    )
  }
  const { tags } = z.object({ tags: z.array(z.string()).nullish() }).parse(await json(answer))
  return (tags ?? []).sort((a, b) => Number(b === 'latest') - Number(a === 'latest'))
}

/** Undefined when there is none by this digest or tag. */
export async function findManifest(
  component: Component,
  repository: string,
  reference: string,
): Promise<(Manifest & { digest: string }) | undefined> {
  const answer = await component.send({
    method: 'GET',
    path: `/v2/${repository}/manifests/${reference}`,
    headers: { accept },
  })
  const body = await whole(answer)
  if (answer.statusCode !== 200) return undefined
  return { ...Manifest.parse(JSON.parse(String(body))), digest: String(answer.headers['docker-content-digest']) }
}

async function readManifest(component: Component, repository: string, reference: string): Promise<Manifest> {
  const found = await findManifest(component, repository, reference)
  if (!found) throw new RegistryError('MANIFEST_UNKNOWN', 'There is no such image.')
  return found
}

/** What dynos run on. */
export const PLATFORM = { os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' } as const

/** Of a list, the image for this platform. */
export const digestFor = ({ manifests = [] }: Manifest): string | undefined =>
  manifests.find(({ platform }) => platform?.os === PLATFORM.os && platform.architecture === PLATFORM.architecture)
    ?.digest
