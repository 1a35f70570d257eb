import { createReadStream } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { extract } from 'tar-stream'
import { openSource } from '../build/blob.ts'
import { requireRoom } from '../build/disk.ts'
import { receiveSource } from '../build/source.ts'
import type { Config } from '../config.ts'
import type { Daemon } from '../daemon.ts'
import { openCommit } from '../git/branch.ts'
import { limits } from '../limits.ts'
import { ManifestError } from './manifest.ts'

/** Where a set-up's source is: an archive at a URL, or a commit in the repository of an app. */
export type Place =
  | { kind: 'url'; url: string; checksum: string | null; version: string | null }
  | { kind: 'commit'; app: string; commit: string }

/** A source that was fetched: read twice, once for its app.json and once by the build. */
export interface Fetched {
  /** Equal for equal sources. */
  key: string
  /** The text of its app.json. */
  manifest: string | undefined
  open(): Readable
}

const root = (config: Pick<Config, 'data'>): string => join(config.data, 'setups')

/** Fetches the source of a set-up to a file, which `discardSource` removes. Throws UserError beyond the bounds on sources. */
export async function fetchSource(d: Daemon, id: string, place: Place, signal: AbortSignal): Promise<Fetched> {
  await requireRoom(d.config.data)
  const folder = join(root(d.config), id)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, 'source.tar')
  const { archive, key } = await openPlace(d, place, signal)
  await receiveSource(archive, path, { signal })
  return { key, manifest: await readManifest(path), open: () => createReadStream(path) }
}

export const discardSource = (d: Daemon, id: string): Promise<void> =>
  rm(join(root(d.config), id), { recursive: true, force: true })

/** At start: nobody reads what is there. */
export const discardSources = (d: Daemon): Promise<void> => rm(root(d.config), { recursive: true, force: true })

const openPlace = (d: Daemon, place: Place, signal: AbortSignal): Promise<{ archive: Readable; key: string }> =>
  place.kind === 'url'
    ? openSource(d, place.url, { checksum: place.checksum, signal })
    : openCommit(d.config.data, place.app, place.commit)

/** The app.json at the top of a tar; nothing of the archive is unpacked. */
async function readManifest(path: string): Promise<string | undefined> {
  const entries = extract()
  let text: string | undefined
  entries.on('entry', (header, content, next) => {
    content.on('end', next)
    // The archive's own error is told of by the pipeline.
    content.on('error', () => {})
    if (text !== undefined || header.type !== 'file' || !/^(\.\/)?app\.json$/.test(header.name))
      return void content.resume()
    if ((header.size ?? 0) > limits.manifestSize)
      return void entries.destroy(new ManifestError([`It is larger than ${limits.manifestSize / 1024} KB.`]))
    const chunks: Buffer[] = []
    content.on('data', (chunk) => chunks.push(chunk as Buffer))
    content.on('end', () => {
      text = Buffer.concat(chunks).toString('utf8')
    })
  })
  await pipeline(createReadStream(path), entries)
  return text
}
