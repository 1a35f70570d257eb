import { detectionOrder } from '../../../buildpacks/bundled.ts'
import { listInstallations } from '../../app/buildpack.ts'
import { isName, parseBuildpack, publicBuildpack } from '../../app/buildpack-name.ts'
import type { Daemon } from '../../daemon.ts'
import { UserError } from '../../errors.ts'
import { currentConfig } from '../../release/config.ts'
import { fetchBuildpack } from './fetch.ts'
import { archiveBuildpack, day, type Found, findNamed, OUT, referencesOf } from './named.ts'
import { forget } from './shelf.ts'

/** A buildpack as one build uses it. */
export interface Buildpack {
  /** What the app names: a URL, or a name. */
  url: string
  /** For the output: without what may be secret. */
  name: string
  /** Changes when its content does: a commit, or a hash. */
  revision: string
  /** Puts it where the compile script looks for buildpack `n`. */
  place(packs: string, n: number): Promise<void>
}

export interface Selection {
  /** chosen: each of them must fit. detect: the first that fits is used. */
  mode: 'chosen' | 'detect'
  buildpacks: Buildpack[]
  /** What the output says of them before they are used. */
  notes: string[]
  warnings: string[]
}

/** Who says which buildpacks are used; the first that does counts. */
interface Wanted {
  /** The build itself. */
  named: readonly string[]
  /** The app's, for `BUILDPACK_URL`. */
  config: Readonly<Record<string, string>>
}

/**
 * The buildpacks that the build names, else the one of the config var BUILDPACK_URL, else those that are set; undefined when nobody names
 * any. Fetches what is not here. Throws UserError.
 */
export async function chosenBuildpacks(
  d: Daemon,
  app: string,
  signal: AbortSignal,
  { named, config }: Wanted,
): Promise<Selection | undefined> {
  const legacy = named.length > 0 ? undefined : legacyOf(config)
  const set = (await listInstallations(d, app)).map(({ url }) => url)
  const chosen = named.length > 0 ? named : legacy !== undefined ? [parseBuildpack(legacy)] : set
  if (chosen.length === 0) return undefined
  const found: Found[] = []
  for (const one of chosen) found.push(isName(one) ? await findNamed(d, one, signal) : await findUrl(d, one, signal))
  return {
    ...{ mode: 'chosen', buildpacks: found.map(({ buildpack }) => buildpack) },
    notes: found.flatMap(({ note }) => note ?? []),
    warnings: legacy === undefined ? [] : [legacyWarning(set)],
  }
}

const legacyOf = (config: Wanted['config']): string | undefined => config.BUILDPACK_URL?.trim() || undefined

/** The app's next build asks for its buildpacks as if they had never been fetched. */
export async function forgetFetched(d: Daemon, app: string): Promise<void> {
  const set = (await listInstallations(d, app)).map(({ url }) => url)
  const all = [...set, legacyOf(await currentConfig(d, app)) ?? []].flat()
  await forget(
    d,
    all.flatMap((one) => (isName(one) ? referencesOf(d, one) : one)),
  )
}

/** All of the default list that can be had now, in the order in which they are tried: what cannot be had is nobody's wish. */
export async function defaultBuildpacks(d: Daemon, signal: AbortSignal): Promise<Selection> {
  const all = await Promise.all(
    detectionOrder.map((name) =>
      // A signal each: so many listeners on one are warned of.
      findNamed(d, name, AbortSignal.any([signal])).catch((error: unknown) => {
        if (error instanceof UserError) return undefined
        throw error
      }),
    ),
  )
  signal.throwIfAborted()
  const found = all.filter((one) => one !== undefined)
  const buildpacks = found.map(({ buildpack }) => buildpack)
  const names = buildpacks.map(({ name }) => name).join(', ')
  return {
    ...{ mode: 'detect', buildpacks, warnings: [] },
    notes: found.some(({ outage }) => outage) ? [`${OUT}; the buildpacks that are here: ${names}`] : [],
  }
}

async function findUrl(d: Daemon, url: string, signal: AbortSignal): Promise<Found> {
  const fetched = await fetchBuildpack(d, url, signal)
  const name = publicBuildpack(url)
  const { stale, revision } = fetched
  const buildpack = archiveBuildpack(url, fetched, name)
  if (!stale) return { buildpack }
  return { buildpack, note: `${name} is as it was on ${day(stale.at)} (${revision.slice(0, 8)}): ${stale.because}` }
}

const legacyWarning = (set: readonly string[]): string =>
  `Warning: The BUILDPACK_URL config var is deprecated, and used ${set.length > 0 ? 'in place of the buildpacks that are set' : 'for this build'}.
Set its buildpack with \`heroku buildpacks:set\`, then \`heroku config:unset BUILDPACK_URL\`.`
