import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { json } from 'node:stream/consumers'
import { extract } from 'tar-stream'
import {
  BuilderError,
  buildRepository,
  EngineError,
  type ImageBuild,
  type ImageBuildSpec,
  ImageError,
  type ImageInfo,
  type Images,
} from '../../daemon/engine/engine.ts'
import { createChannel } from './channel.ts'

/** What a Dockerfile does, for tests without an engine. */
export interface ImageScript {
  prints?: string
  /** Ends the build with these words. */
  fails?: string
  stays?: boolean
  /** Bytes on disk. */
  used?: number
  config?: Partial<ImageInfo['config']>
}

/** What outlives the engine objects that look at it. */
export interface ImageStore {
  /** By id. Without a name, an image is gone when a name is forgotten. */
  readonly images: Map<string, ImageInfo>
  /** Name to id. */
  readonly names: Map<string, string>
  /** What registries have, by reference. */
  readonly registries: Map<string, ImageInfo>
  /** Images that containers use. */
  used(id: string): boolean
  script(dockerfile: string, spec: ImageBuildSpec): ImageScript
}

export const createImageStore = (
  script: ImageStore['script'] = () => ({}),
  used: ImageStore['used'] = () => false,
): ImageStore => ({ images: new Map(), names: new Map(), registries: new Map(), used, script })

export const imageOf = (config: Partial<ImageInfo['config']> = {}): ImageInfo => ({
  id: `sha256:${randomBytes(32).toString('hex')}`,
  size: 1000,
  platform: process.arch === 'arm64' ? 'linux/arm64' : 'linux/amd64',
  config: {
    ...{ entrypoint: null, cmd: null, workingDir: '', user: '', env: [], exposed: [], onBuild: [] },
    ...config,
  },
})

export function createMemoryImages(store: ImageStore): Images {
  const { images, names, registries } = store
  const forgetOne = (name: string): boolean => {
    const id = names.get(name)
    if (id === undefined) return true
    const last = [...names.values()].filter((one) => one === id).length === 1
    if (last && store.used(id)) return false
    names.delete(name)
    if (last) images.delete(id)
    return true
  }
  return {
    inspect: async (image) => images.get(image) ?? null,
    async pull(reference, { as } = {}) {
      const found = registries.get(reference)
      if (!found) throw new ImageError(`The Docker engine could not pull the image ${reference}: not found`)
      images.set(found.id, found)
      if (as === undefined) images.set(reference, found)
      else names.set(as, found.id)
      return found.id
    },
    async keep(id, name) {
      if (!images.has(id)) throw new EngineError(`No such image: ${id}`)
      names.set(name, id)
    },
    async forget(name) {
      const all = name.includes(':') ? [name] : [...names.keys()].filter((one) => one.startsWith(`${name}:`))
      return all.map(forgetOne).every(Boolean)
    },
    async drop(reference) {
      const found = images.get(reference)
      if (found && store.used(found.id)) return false
      images.delete(reference)
      return true
    },
    kept: async () => [...names.keys()],
    list: async () =>
      [...new Set(images.values())].map(({ id, size: bytes }) => ({
        id,
        bytes,
        kept: [...names].flatMap(([name, held]) => (held === id ? [name] : [])),
        names: [...images].flatMap(([name, image]) => (image.id === id && name !== id ? [name] : [])),
      })),
    space: async () => ({
      size: Number.MAX_SAFE_INTEGER,
      free: Number.MAX_SAFE_INTEGER,
      files: Number.MAX_SAFE_INTEGER,
    }),
    async save(ids) {
      const saved = ids.map((id) => images.get(id))
      if (saved.includes(undefined)) throw new EngineError(`No such image: ${ids}`)
      return Readable.from([Buffer.from(JSON.stringify(saved))], { objectMode: false })
    },
    async load(archive) {
      for (const image of (await json(archive)) as ImageInfo[]) images.set(image.id, image)
    },
    build: (spec, context, signal) => build(store, { spec, context, signal }),
  }
}

async function build(
  { images, names, script }: ImageStore,
  { spec, context, signal }: { spec: ImageBuildSpec; context: Readable; signal: AbortSignal },
): Promise<ImageBuild> {
  signal.throwIfAborted()
  const text = await readIn(context, spec.dockerfile)
  if (text === undefined) throw new BuilderError(`Cannot locate specified Dockerfile: ${spec.dockerfile}`)
  const { prints = '', fails, stays, used = 0, config } = script(text, spec)
  const lines = createChannel<Buffer>()
  lines.put(Buffer.from(prints))
  if (stays) signal.addEventListener('abort', () => lines.close(), { once: true })
  else lines.close()
  let settle = () => {}
  const ended = new Promise<void>((resolve) => {
    settle = resolve
  })
  const done = ended.then(() => {
    signal.throwIfAborted()
    if (fails !== undefined) throw new BuilderError(fails)
    const image = imageOf(config)
    images.set(image.id, image)
    names.set(`${buildRepository(spec.build)}:${spec.name}-0`, image.id)
    return { id: image.id, stages: [image.id] }
  })
  done.catch(() => {})
  async function* output() {
    yield* lines.read()
    settle()
  }
  return { output: output(), done, usage: async () => ({ used, free: Number.MAX_SAFE_INTEGER }) }
}

async function readIn(tar: Readable, path: string): Promise<string | undefined> {
  let text: string | undefined
  for await (const entry of tar.pipe(extract())) {
    const chunks: Buffer[] = []
    for await (const chunk of entry) chunks.push(chunk as Buffer)
    if (entry.header.name.replace(/^\.\//, '') === path) text = Buffer.concat(chunks).toString()
  }
  return text
}
