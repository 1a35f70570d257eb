import type { Account } from '../account/account.ts'
import type { App } from '../app/app.ts'
import { listInstallations } from '../app/buildpack.ts'
import { isName, parseBuildpacks } from '../app/buildpack-name.ts'
import type { Daemon } from '../daemon.ts'
import type { Build } from './build.ts'
import { requireKnown } from './buildpack/named.ts'
import { startDeploy } from './deploy.ts'
import { openSource, parseChecksum, type Source } from './source/blob.ts'
import { parseUrl } from './source/download.ts'
import { refusePointers } from './source/pointer.ts'

/** A build of a source at a URL, as the API is asked for one. */
export interface Blob {
  url: string
  checksum: string | null
  /** Free text, such as a commit. */
  version: string | null
  description: string | null
}

/**
 * Builds and releases in the background what `openSource` finds at the URL. Resolves when the build is on record; how it goes is told
 * by its transcript and its row. Throws UserError when it cannot begin.
 */
export async function requestBuild(
  d: Daemon,
  { app, account, blob, buildpacks }: { app: App; account: Account; blob: Blob; buildpacks: string[] },
): Promise<Build> {
  parseUrl(blob.url)
  if (blob.checksum !== null) parseChecksum(blob.checksum)
  const named = parseBuildpacks(buildpacks)
  await requireKnown(d, named.filter(isName))
  let source: Source | undefined
  const { build, done } = await startDeploy(d, {
    ...{ app, account, blob, version: blob.version, buildpacks: named },
    async open(signal) {
      source = await openSource(d, blob.url, { checksum: blob.checksum, signal })
      const installed = (await listInstallations(d, app.id)).map(({ url }) => url)
      refusePointers(source.pointers, named.length > 0 ? named : installed)
      return source
    },
    output: () => {},
    signal: new AbortController().signal,
    unattended: true,
  })
  // Why it failed has been said where the build is asked about.
  done.catch(() => {}).finally(() => source?.archive.destroy())
  return build
}
