import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'

/**
 * What the component has stored, by its layout (https://github.com/distribution/distribution, registry/storage/paths.go): what nobody needs of
 * it is forgotten here, because the component can forget by itself only what has no tag, and then forgets the parts of lists as well.
 * `store` is the folder of all of it, `repository` that of the images of one process type.
 */
const Manifest = z.object({
  config: z.object({ digest: z.string() }).optional(),
  manifests: z.array(z.object({ digest: z.string() })).default([]),
})

/** Forgets the images that neither a tag names nor a list that a tag names, and those whose manifest a power cut took. */
export async function dropUntagged(store: string, repository: string): Promise<void> {
  const revisions = join(repository, '_manifests', 'revisions', 'sha256')
  const named = new Set<string>()
  for (const tag of await tagsOf(repository))
    for (const manifest of (await under(store, tag)).manifests) named.add(manifest)
  for (const hex of await list(revisions))
    if (!named.has(`sha256:${hex}`)) await rm(join(revisions, hex), { recursive: true, force: true })
}

/** Removes the tags that were pushed before `before` (epoch, ms) and name nothing that was released; how many. `released`: ids of images. */
export async function dropTags(
  store: string,
  repository: string,
  { before, released }: { before: number; released: () => Promise<ReadonlySet<string>> },
): Promise<number> {
  let dropped = 0
  for (const tag of await tagsOf(repository)) {
    const pushed = await stat(linkOf(tag)).then(({ mtimeMs }) => mtimeMs, absent(before))
    if (pushed >= before) continue
    const { manifests, images } = await under(store, tag)
    const needed = await released()
    if ([...manifests, ...images].some((digest) => needed.has(digest))) continue
    await rm(tag, { recursive: true, force: true })
    dropped++
  }
  return dropped
}

/** Bytes of what was pushed to these repositories and not collected yet. */
export async function sizeOf(store: string, repositories: string[]): Promise<number> {
  const blobs = new Set<string>()
  for (const repository of repositories)
    for (const part of ['_layers', '_manifests/revisions'])
      for (const hex of await list(join(repository, part, 'sha256'))) blobs.add(hex)
  let bytes = 0
  for (const hex of blobs) bytes += await stat(blobPath(store, hex)).then(({ size }) => size, absent(0))
  return bytes
}

const tagsOf = async (repository: string): Promise<string[]> => {
  const tags = join(repository, '_manifests', 'tags')
  return (await list(tags)).map((tag) => join(tags, tag))
}

const linkOf = (tag: string): string => join(tag, 'current', 'link')

/** Digests of what a tag names: manifests that are there, lists too, and the images that they describe. */
async function under(store: string, tag: string): Promise<{ manifests: Set<string>; images: Set<string> }> {
  const [manifests, images] = [new Set<string>(), new Set<string>()]
  const look = async (digest: string): Promise<void> => {
    const content = await text(blobPath(store, digest.replace(/^sha256:/, '')))
    const manifest = content === undefined ? undefined : parse(content)
    if (manifest === undefined || manifests.has(digest)) return
    manifests.add(digest)
    if (manifest.config) images.add(manifest.config.digest)
    for (const part of manifest.manifests) await look(part.digest)
  }
  const link = await text(linkOf(tag))
  if (link !== undefined) await look(link.trim())
  return { manifests, images }
}

/** Undefined for what is no manifest. */
function parse(content: string): z.output<typeof Manifest> | undefined {
  try {
    return Manifest.parse(JSON.parse(content))
  } catch {
    return undefined
  }
}

const blobPath = (store: string, hex: string): string => join(store, 'blobs', 'sha256', hex.slice(0, 2), hex, 'data')
const text = (path: string): Promise<string | undefined> => readFile(path, 'utf8').catch(absent(undefined))

export const list = (folder: string): Promise<string[]> => readdir(folder).catch(absent([]))

const absent =
  <Value>(value: Value) =>
  (error: NodeJS.ErrnoException): Value => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return value
    throw error
  }
