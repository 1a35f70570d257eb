import type Docker from 'dockerode'
import { type Connection, unlessMissing } from './connection.ts'
import type { Images } from './engine.ts'
import { loadImages, pullImage, removeName, saveImages, spaceOfImages, splitName } from './image.ts'
import { buildImage, sweepImageBuilds } from './image-build.ts'
import type { Networks } from './network.ts'
import { imageNameOf, type Site } from './spec.ts'

export interface ImageParts {
  engine: Connection
  site(): Promise<Site>
  networks: Networks
}

/** Images of apps on a Docker engine. A name is a tag, and what has no tag is not kept. */
export function createImages(parts: ImageParts): Images & { sweep(): Promise<void> } {
  const { engine, site } = parts
  const full = async (name: string): Promise<string> => imageNameOf((await site()).installation, name)

  const images: Images = {
    async inspect(image) {
      const found = await look(engine, image)
      if (!found) return null
      const { Id, Size, Os, Architecture, Config } = found
      return {
        id: Id,
        size: Size,
        platform: `${Os}/${Architecture}`,
        config: {
          entrypoint: listOf(Config?.Entrypoint),
          cmd: listOf(Config?.Cmd),
          workingDir: Config?.WorkingDir ?? '',
          user: Config?.User ?? '',
          env: Config?.Env ?? [],
          exposed: Object.keys(Config?.ExposedPorts ?? {}),
          onBuild: Config?.OnBuild ?? [],
        },
      }
    },
    async pull(reference, { as, ...options } = {}) {
      const before = as === undefined ? null : await look(engine, reference)
      const id = await pullImage(engine.socket, reference, options)
      if (as === undefined) return id
      await images.keep(id, as)
      if (!before) await removeName(engine, reference)
      return id
    },
    async keep(id, name) {
      const tag = splitName(await full(name))
      await engine.ask(`keep the image ${name}`, (docker) => docker.getImage(id).tag(tag))
    },
    async forget(name) {
      const names = name.includes(':') ? [name] : (await images.kept()).filter((one) => one.startsWith(`${name}:`))
      const gone = []
      for (const one of names) gone.push(await forget(engine, await full(one)))
      return gone.every(Boolean)
    },
    drop: (reference) => removeName(engine, reference),
    async kept() {
      const prefix = await full('')
      const reference = JSON.stringify({ reference: [`${prefix}*`] })
      const found = await engine.ask('list images', (docker) => docker.listImages({ filters: reference }))
      return found
        .flatMap(({ RepoTags }) => RepoTags ?? [])
        .filter((tag) => tag.startsWith(prefix))
        .map((tag) => tag.slice(prefix.length))
    },
    async list() {
      const prefix = await full('')
      const all = await engine.ask('list images', (docker) => docker.listImages())
      return all.map(({ Id, Size, RepoTags, RepoDigests }) => {
        const names = [...(RepoTags ?? []), ...(RepoDigests ?? [])].filter((name) => !name.startsWith('<none>'))
        const kept = names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length))
        return { id: Id, bytes: Size, kept, names: names.filter((name) => !name.startsWith(prefix)) }
      })
    },
    space: () => spaceOfImages(engine),
    save: (ids) => saveImages(engine, ids),
    load: (archive) => loadImages(engine, archive),
    build: (spec, context, signal) => buildImage({ ...parts, images }, { spec, context, signal }),
  }
  return { ...images, sweep: () => sweepImageBuilds({ ...parts, images }) }
}

const look = (engine: Connection, name: string): Promise<Docker.ImageInspectInfo | null> =>
  unlessMissing(
    engine.ask('look up an image', (docker) => docker.getImage(name).inspect()),
    null,
  )

const listOf = (words: string | string[] | null | undefined): string[] | null =>
  words == null || words.length === 0 ? null : [words].flat()

/** An image that came by digest has that as a further name, which holds it as well. */
async function forget(engine: Connection, tag: string): Promise<boolean> {
  const found = await look(engine, tag)
  if (!found) return true
  const others = (found.RepoTags ?? []).filter((one) => one !== tag)
  const names = others.length === 0 ? [tag, ...(found.RepoDigests ?? [])] : [tag]
  for (const name of names) if (!(await removeName(engine, name))) return false
  return true
}
