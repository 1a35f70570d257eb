import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { requireRoom } from '../build/disk.ts'
import { openSource, type Source } from '../build/source/blob.ts'
import { fileIn } from '../build/source/peek.ts'
import { readSource, receiveSource } from '../build/source/source.ts'
import type { Config } from '../config.ts'
import type { Daemon } from '../daemon.ts'
import { openCommit } from '../git/commit.ts'
import { ensureRepository } from '../git/repository.ts'
import { limits } from '../limits.ts'
import { ManifestError } from './manifest.ts'

/** Where a set-up's source is: an archive at a URL, or a commit in the repository of an app. */
export type Place =
  | { kind: 'url'; url: string; checksum: string | null; version: string | null }
  | { kind: 'commit'; app: string; commit: string }

/** A source that was fetched: read twice, once for its app.json and once by the build. */
export interface Fetched extends Omit<Source, 'archive'> {
  /** The text of its app.json. */
  manifest: string | undefined
  open(): Readable
}

const root = (config: Pick<Config, 'data'>): string => join(config.data, 'setups')

/** Fetches the source of a set-up to a file, which `discardSource` removes. Throws UserError beyond the bounds on sources. */
export async function fetchSource(d: Daemon, id: string, place: Place, signal: AbortSignal): Promise<Fetched> {
  await d.disk.makeRoom()
  await requireRoom(d.config.data)
  const folder = join(root(d.config), id)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, 'source.tar')
  const { archive, ...source } = await openPlace(d, place, signal)
  await receiveSource(archive, path, { signal })
  return { ...source, manifest: await readManifest(path), open: () => readSource(path) }
}

export const discardSource = (d: Daemon, id: string): Promise<void> =>
  rm(join(root(d.config), id), { recursive: true, force: true })

/** At start: nobody reads what is there. */
export const discardSources = (d: Daemon): Promise<void> => rm(root(d.config), { recursive: true, force: true })

async function openPlace(d: Daemon, place: Place, signal: AbortSignal): Promise<Source> {
  if (place.kind === 'url') return openSource(d, place.url, { checksum: place.checksum, signal })
  const repository = await ensureRepository(d.config.data, place.app)
  return openCommit(d, { repository }, { commit: place.commit, output: () => {}, signal })
}

const readManifest = (path: string): Promise<string | undefined> =>
  fileIn(path, {
    name: 'app.json',
    most: limits.manifestSize,
    beyond: () => new ManifestError([`It is larger than ${limits.manifestSize / 1024} KB.`]),
  })
