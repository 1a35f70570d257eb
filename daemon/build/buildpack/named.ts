import { copyFile, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { bundled } from '../../../buildpacks/bundled.ts'
import { isName, urnOf } from '../../app/buildpack-name.ts'
import type { Daemon } from '../../daemon.ts'
import { invalid, UserError } from '../../errors.ts'
import { Unreachable } from '../source/web.ts'
import type { Buildpack } from './buildpack.ts'
import { type Fetched, fetchBuildpack, hashFile, NotThere } from './fetch.ts'
import { bundledBuildpack, folderBuildpack } from './folder.ts'
import { isOut, noteOut } from './outage.ts'
import { askRegistry, blobUrl, pathOf } from './registry.ts'
import { known, remember } from './shelf.ts'

type Parts = Pick<Daemon, 'config' | 'clock' | 'log'>

/** A buildpack that was found; `note` says which it is when that is not the obvious one. */
export interface Found {
  buildpack: Buildpack
  note?: string
  /** It is not what the registry has now, which cannot be reached. */
  outage?: boolean
}

/**
 * The buildpack of a name: the operator's own; what the registry has; what the registry had when it could last be reached; the bundled one.
 * Throws UserError when it is none of these.
 */
export async function findNamed(d: Parts, name: string, signal: AbortSignal): Promise<Found> {
  const own = await ofOperator(d, name, signal)
  if (own) return own
  const word = await askRegistry(d, pathOf(name), signal)
  if (word.kind === 'known') {
    const fetched = await ofRegistry(d, name, word.body, signal)
    if (fetched) return { buildpack: archiveBuildpack(name, fetched) }
  }
  const lacking = word.kind === 'known' || word.kind === 'unreachable'
  const before = lacking ? await known(d, urnOf(name)) : undefined
  if (before)
    return {
      ...{ buildpack: archiveBuildpack(name, before), outage: true },
      note: `${name} is as it was on ${day(before.at)}: ${OUT}`,
    }
  const ours = bundled.find((one) => one.name === name)
  if (ours)
    return {
      buildpack: await bundledBuildpack(d.config, ours),
      ...(lacking ? { note: `${name} is the one that comes with Sluice: ${OUT}`, outage: true } : {}),
    }
  throw lacking ? unreachable(name) : unknown(name)
}

export const OUT = 'the buildpack registry cannot be reached'

export const day = (at: number): string => new Date(at).toISOString().slice(0, 10)

/** Refuses names that are known to be nobody's. One of a registry that cannot be reached now may be somebody's. Throws UserError. */
export async function requireKnown(
  d: Parts,
  names: readonly string[],
  signal: AbortSignal = new AbortController().signal,
): Promise<void> {
  for (const name of names) {
    if (bundled.some((one) => one.name === name) || (await ofOperator(d, name, signal))) continue
    const { kind } = await askRegistry(d, pathOf(name), signal)
    if (kind === 'unknown' || kind === 'none') throw unknown(name)
  }
}

const unknown = (name: string): UserError =>
  invalid(
    `${name} is not in the buildpack registry. See \`heroku buildpacks:search\`, or give the URL of its git repository or archive.`,
  )

const unreachable = (name: string): UserError =>
  invalid(
    `The buildpack ${name} cannot be fetched: ${OUT}, and it was never fetched before. Push again later, or set the URL of its git repository or archive.`,
  )

/** In the folder `NS/NAME`, or the archive `NS/NAME.tgz` of the operator's folder or mirror. */
export async function ofOperator(d: Parts, name: string, signal: AbortSignal): Promise<Found | undefined> {
  const { buildpacks } = d.config
  if (buildpacks === undefined) return undefined
  if ('mirror' in buildpacks) return ofMirror(d, buildpacks.mirror, name, signal)
  const path = join(buildpacks.folder, name)
  const note = `${name} is the one in this platform's folder of buildpacks`
  if (await is('Directory', join(path, 'bin'))) return { buildpack: await folderBuildpack(name, path), note }
  if (!(await is('File', `${path}.tgz`))) return undefined
  const archive = `${path}.tgz`
  return { buildpack: archiveBuildpack(name, { archive, revision: await hashFile(archive) }), note }
}

async function ofMirror(d: Parts, mirror: string, name: string, signal: AbortSignal): Promise<Found | undefined> {
  const fetched = await fetchIfThere(d, inMirror(mirror, name), signal, true)
  if (!fetched) return undefined
  const since = fetched.stale ? ` as it was on ${day(fetched.stale.at)}: the mirror cannot be reached` : ''
  return {
    buildpack: archiveBuildpack(name, fetched),
    note: `${name} is the one in this platform's mirror of buildpacks${since}`,
  }
}

function inMirror(mirror: string, name: string): string {
  const url = new URL(mirror)
  url.pathname = `${url.pathname.replace(/\/$/, '')}/${name}.tgz`
  return url.href
}

/** All that a name may be remembered by when it was fetched. */
export const referencesOf = ({ config: { buildpacks } }: Parts, name: string): string[] => [
  urnOf(name),
  ...(buildpacks && 'mirror' in buildpacks ? [inMirror(buildpacks.mirror, name)] : []),
]

/** Undefined when its archive cannot be had now. */
async function ofRegistry(d: Parts, name: string, body: unknown, signal: AbortSignal): Promise<Fetched | undefined> {
  const url = blobUrl(body)
  if (url === undefined) return undefined
  const trusted = new URL(url).host === new URL(d.config.buildpackRegistry ?? url).host
  const fetched = await fetchIfThere(d, url, signal, trusted)
  if (!fetched || fetched.stale) return undefined
  await remember(d, urnOf(name), { ...fetched, etag: undefined, at: d.clock.now() })
  return fetched
}

/** Does not wait for a server that was asked in vain a short while ago. */
async function fetchIfThere(
  d: Parts,
  url: string,
  signal: AbortSignal,
  trusted: boolean,
): Promise<Fetched | undefined> {
  const { origin } = new URL(url)
  if (isOut(d.clock, origin)) {
    const before = await known(d, url)
    return before && { ...before, stale: { because: 'its server cannot be reached', at: before.at } }
  }
  try {
    const fetched = await fetchBuildpack(d, url, signal, { trusted })
    if (fetched.stale) noteOut(d.clock, origin)
    return fetched
  } catch (error) {
    const cause = error instanceof UserError ? error.cause : undefined
    if (cause instanceof Unreachable) noteOut(d.clock, origin)
    else if (!(cause instanceof NotThere)) throw error
    return undefined
  }
}

export const archiveBuildpack = (
  url: string,
  { archive, revision }: Pick<Fetched, 'archive' | 'revision'>,
  name: string = url,
): Buildpack => ({ url, name, revision, place: (packs, n) => copyFile(archive, join(packs, `${n}.tar`)) })

const is = (kind: 'File' | 'Directory', path: string): Promise<boolean> =>
  stat(path).then(
    (found) => (kind === 'File' ? found.isFile() : found.isDirectory()),
    () => false,
  )

/** The names in the operator's folder. */
export async function listFolder({ buildpacks }: Daemon['config']): Promise<string[]> {
  if (buildpacks === undefined || 'mirror' in buildpacks) return []
  const names: string[] = []
  for (const namespace of await readdir(buildpacks.folder).catch(() => []))
    for (const name of await readdir(join(buildpacks.folder, namespace)).catch(() => []))
      names.push(`${namespace}/${name.replace(/\.tgz$/, '')}`)
  return [...new Set(names)].filter(isName).sort()
}
