import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type Layer, layerOf } from '../../buildpacks/stack/archive.ts'
import { connect } from '../../daemon/engine/connection.ts'
import { saveImages } from '../../daemon/engine/image.ts'
import { call, socketPath } from '../e2e/engine.ts'

/** A mirror of an image hub that has one image, of this machine's engine, under every name. Another engine is told of it by `--registry-mirror`. */
export interface Hub {
  /** As containers in the engine's own network reach it. */
  url: string
  close(): Promise<void>
}

export async function startHub(image: string): Promise<Hub> {
  const folder = await mkdtemp(join(tmpdir(), `sluice-hub-${process.pid}-`))
  await unpack(image, folder)
  const server = createServer(answering(await contentOf(folder)))
  await once(server.listen(0, await gateway()), 'listening')
  const { address, port } = server.address() as AddressInfo
  return {
    url: `http://${address}:${port}`,
    async close() {
      server.close()
      server.closeAllConnections()
      await rm(folder, { recursive: true })
    },
  }
}

async function unpack(image: string, folder: string): Promise<void> {
  const tar = spawn('tar', ['-xC', folder], { stdio: ['pipe', 'ignore', 'inherit'] })
  const ended = once(tar, 'close')
  await pipeline(await saveImages(connect(socketPath), [image]), tar.stdin)
  const [code] = await ended
  if (code !== 0) throw new Error(`tar ended with ${code}`)
}

/** Of what `docker save` wrote: https://distribution.github.io/distribution/spec/manifest-v2-2/ */
interface Content {
  manifest: string
  /** By digest. */
  blobs: Map<string, Layer>
}

const SCHEMA = 'application/vnd.docker.distribution.manifest.v2+json'
const CONFIG = 'application/vnd.docker.container.image.v1+json'
const LAYER = 'application/vnd.docker.image.rootfs.diff.tar.gzip'

async function contentOf(folder: string): Promise<Content> {
  const [saved] = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')) as [
    { Config: string; Layers: string[] },
  ]
  const [config, ...layers] = await Promise.all(
    [saved.Config, ...saved.Layers].map((name) => layerOf(join(folder, name))),
  )
  const described = (mediaType: string, { size, digest }: Layer) => ({ mediaType, size, digest: `sha256:${digest}` })
  if (!config) throw new Error('the saved image has no config')
  return {
    manifest: JSON.stringify({
      ...{ schemaVersion: 2, mediaType: SCHEMA, config: described(CONFIG, config) },
      layers: layers.map((layer) => described(LAYER, layer)),
    }),
    blobs: new Map([config, ...layers].map((blob) => [`sha256:${blob.digest}`, blob])),
  }
}

const answering =
  ({ manifest, blobs }: Content): RequestListener =>
  ({ method, url = '' }, res) => {
    const blob = blobs.get(/\/blobs\/([^?]+)/.exec(url)?.[1] ?? '')
    if (blob) {
      res.setHeader('content-length', blob.size)
      return void createReadStream(blob.path).pipe(res)
    }
    if (/^\/v2\/(\?|$)/.test(url)) return void res.end('{}')
    if (!/\/manifests\//.test(url)) return void res.writeHead(404).end('{}')
    const digest = `sha256:${createHash('sha256').update(manifest).digest('hex')}`
    const length = Buffer.byteLength(manifest)
    res.writeHead(200, { 'content-type': SCHEMA, 'content-length': length, 'docker-content-digest': digest })
    res.end(method === 'HEAD' ? undefined : manifest)
  }

/** This machine's address in the network that containers are in that name none: the first there is, which an engine tells only after its first restart. */
export const gateway = async (): Promise<string> => {
  const { IPAM } = await call<{ IPAM: { Config: { Gateway?: string; Subnet: string }[] } }>('GET', '/networks/bridge')
  const { Gateway, Subnet = '' } = IPAM.Config.find(({ Subnet }) => !Subnet.includes(':')) ?? {}
  return Gateway ?? Subnet.replace(/(\d+)\/\d+$/, (_, first) => String(Number(first) + 1))
}
