import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { pack } from 'tar-stream'

/** A layer as an uncompressed tar on disk. */
export interface Layer {
  path: string
  size: number
  /** SHA-256 of the file, in hex. */
  digest: string
}

interface SavedImage {
  tags: string[]
  labels: Record<string, string>
  /** Lowest first. */
  layers: Layer[]
}

const ENV = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'LANG=en_US.UTF-8', 'HOME=/app']

export async function layerOf(path: string): Promise<Layer> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return { path, size: (await stat(path)).size, digest: hash.digest('hex') }
}

/** Images as `docker save` writes them, a shared layer once. The same layers and labels give the same image ids on every host. */
export function savedImages(images: SavedImage[]): Readable {
  const tar = pack()
  void write(tar, images).then(
    () => tar.finalize(),
    (error: Error) => tar.destroy(error),
  )
  return Readable.from(tar)
}

async function write(tar: ReturnType<typeof pack>, images: SavedImage[]): Promise<void> {
  const configs = images.map((image) => {
    const text = JSON.stringify(config(image))
    return { image, text, name: `${createHash('sha256').update(text).digest('hex')}.json` }
  })
  const manifest = configs.map(({ image, name }) => ({
    Config: name,
    RepoTags: image.tags,
    Layers: image.layers.map(({ digest }) => `${digest}/layer.tar`),
  }))
  for (const layer of new Set(images.flatMap(({ layers }) => layers)))
    await pipeline(createReadStream(layer.path), tar.entry({ name: `${layer.digest}/layer.tar`, size: layer.size }))
  for (const { name, text } of configs) tar.entry({ name }, text)
  tar.entry({ name: 'manifest.json' }, JSON.stringify(manifest))
}

const config = ({ labels, layers }: SavedImage) => ({
  architecture: { x64: 'amd64', arm64: 'arm64' }[process.arch as string] ?? process.arch,
  os: 'linux',
  created: '1970-01-01T00:00:00Z',
  config: { User: 'heroku', WorkingDir: '/app', Env: ENV, Cmd: ['/bin/bash'], Labels: labels },
  rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => `sha256:${digest}`) },
  history: layers.map(() => ({ created: '1970-01-01T00:00:00Z', created_by: 'sluice' })),
})
