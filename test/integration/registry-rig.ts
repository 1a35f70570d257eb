import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { readdirSync, readlinkSync } from 'node:fs'
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import { pack } from 'tar-stream'
import * as assert from 'uvu/assert'
import { type App, findApp } from '../../daemon/app/app.ts'
import type { Config } from '../../daemon/config.ts'
import { type Host, startHost } from '../api/host.ts'
import { freePort } from '../e2e/ports.ts'
import { waitFor } from '../e2e/wait.ts'

/** The endpoint over the real component, and a client that speaks the protocol by hand. */
export interface Rig {
  host: Host
  as(token: string): Client
  /** Makes an app of the administrator's. */
  app(name: string): Promise<App>
  /** The process of the component. */
  pid(): Promise<number>
  close(): Promise<void>
}

export interface Client {
  request(method: string, path: string, options?: Sent): Promise<Response>
  /** Pushes a blob in one piece. */
  blob(repository: string, content: Buffer | string): Promise<string>
  /** Pushes an image of one layer, and its manifest by a tag. */
  image(repository: string, tag: string, layer: string): Promise<{ digest: string; id: string; layer: string }>
  manifest(repository: string, reference: string, body: object, type?: string): Promise<Response>
  /** Pushes an image that an engine can pull, of one layer with one file; its id and the digest of its manifest. */
  runnable(repository: string, image?: Partial<Runnable>): Promise<{ id: string; digest: string }>
}

interface Runnable {
  tag: string
  cmd: string[] | null
  architecture: string
  /** What its layer is in place of a tar. */
  layer: Buffer
}

interface Sent {
  body?: Buffer | string
  headers?: Record<string, string>
}

export const DOCKER = 'application/vnd.docker.distribution.manifest.v2+json'
export const OCI_LIST = 'application/vnd.oci.image.index.v1+json'
export const OCI = 'application/vnd.oci.image.manifest.v1+json'

export const digestOf = (content: Buffer | string): string =>
  `sha256:${createHash('sha256').update(content).digest('hex')}`

export async function startRig(settings: Record<string, string> = {}): Promise<Rig> {
  const host = await startHost(settings)
  await host.d.registry.start()
  const admin = (await host.request('GET', '/account')).json
  return {
    host,
    as: (token) => client(host.url, token),
    async app(name) {
      await host.request('POST', '/apps', { body: { name } })
      return findApp(host.d.db, { ...admin, admin: 1 }, name)
    },
    pid: () => pidOf(host.d.config.data),
    close: () => host.close(),
  }
}

/** The process of the component whose images are below this data folder. */
export async function pidOf(data: string): Promise<number> {
  const folder = await realpath(join(data, 'registry'))
  const pid = readdirSync('/proc').find((name) => /^\d+$/.test(name) && cwdOf(name) === folder)
  if (pid === undefined) throw new Error('the component does not run')
  return Number(pid)
}

function cwdOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return undefined
  }
}

function client(url: string, token: string): Client {
  const authorization = `Basic ${Buffer.from(`_:${token}`).toString('base64')}`
  const request: Client['request'] = (method, path, { body, headers = {} } = {}) =>
    fetch(path.startsWith('http') ? path : `${url}${path}`, {
      method,
      redirect: 'manual',
      headers: { ...(token === '' ? {} : { authorization }), ...headers },
      ...(body === undefined ? {} : { body }),
    })
  const blob: Client['blob'] = async (repository, content) => {
    const digest = digestOf(content)
    const begun = await request('POST', `/v2/${repository}/blobs/uploads/`)
    assert.is(begun.status, 202, await begun.text())
    const ended = await request('PUT', `${begun.headers.get('location')}&digest=${digest}`, { body: content })
    assert.is(ended.status, 201, await ended.text())
    return digest
  }
  const manifest: Client['manifest'] = (repository, reference, body, type = DOCKER) =>
    request('PUT', `/v2/${repository}/manifests/${reference}`, {
      body: JSON.stringify(body),
      headers: { 'content-type': type },
    })
  return {
    request,
    blob,
    manifest,
    async runnable(
      repository,
      { tag = 'latest', cmd = ['/hello'], architecture = OWN_ARCHITECTURE, layer: other } = {},
    ) {
      const tar = pack()
      tar.entry({ name: 'hello', mode: 0o755 }, `hello ${randomUUID()}`)
      tar.finalize()
      const plain = await buffer(tar)
      const packed = other ?? gzipSync(plain)
      const config = JSON.stringify({
        ...{ architecture, os: 'linux', config: { Cmd: cmd }, created: '2026-01-01T00:00:00Z' },
        ...{ history: [{ created: '2026-01-01T00:00:00Z' }], rootfs: { type: 'layers', diff_ids: [digestOf(plain)] } },
      })
      const layer = await blob(repository, packed)
      const id = await blob(repository, config)
      const body = imageOf({ id, size: config.length }, { layer, size: packed.length })
      const answer = await manifest(repository, tag, body)
      assert.is(answer.status, 201, await answer.text())
      return { id, digest: answer.headers.get('docker-content-digest') ?? '' }
    },
    async image(repository, tag, text) {
      const layer = await blob(repository, text)
      const config = JSON.stringify({
        architecture: 'amd64',
        os: 'linux',
        rootfs: { type: 'layers', diff_ids: [layer] },
      })
      const id = await blob(repository, config)
      const answer = await manifest(repository, tag, imageOf({ id, size: config.length }, { layer, size: text.length }))
      assert.is(answer.status, 201, await answer.text())
      return { digest: answer.headers.get('docker-content-digest') ?? '', id, layer }
    },
  }
}

const OWN_ARCHITECTURE = process.arch === 'arm64' ? 'arm64' : 'amd64'

export const imageOf = (
  config: { id: string; size: number },
  layer: { layer: string; size: number },
  type = DOCKER,
) => ({
  schemaVersion: 2,
  mediaType: type,
  config: { mediaType: 'application/vnd.docker.container.image.v1+json', digest: config.id, size: config.size },
  layers: [{ mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip', digest: layer.layer, size: layer.size }],
})

/** What a refusal says: its code and its message. */
export async function refusal(answer: Response): Promise<{ status: number; code: string; message: string }> {
  const { errors } = (await answer.json()) as { errors: { code: string; message: string }[] }
  return { status: answer.status, code: errors[0]?.code ?? '', message: errors[0]?.message ?? '' }
}

export interface Other {
  port: number
  client: Client
  close(): Promise<void>
}

/** A registry that asks nobody who they are, as public ones do. */
export async function startOther({ registry }: Pick<Config, 'registry'>): Promise<Other> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-registry-'))
  const port = await freePort()
  const config = {
    version: '0.1',
    storage: { filesystem: { rootdirectory: folder } },
    http: { addr: `127.0.0.1:${port}` },
  }
  await writeFile(join(folder, 'config.json'), JSON.stringify(config))
  const program = registry && 'program' in registry ? registry.program : ''
  const child: ChildProcess = spawn(program, ['serve', join(folder, 'config.json')], { stdio: 'ignore' })
  const other = client(`http://localhost:${port}`, '')
  await waitFor('the other registry to answer', async () => (await other.request('GET', '/v2/')).ok)
  return {
    port,
    client: other,
    async close() {
      child.kill()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
