import type { Daemon } from '../daemon.ts'
import { sweepShelf } from './buildpack/shelf.ts'
import { sweepSpares } from './slug/cache.ts'
import { sweepSlugs } from './slug/slug.ts'
import { sweepUploads } from './source/upload.ts'

/**
 * Removes what clients sent and never used, fetched buildpacks that no build uses, and copies of caches that no build has taken. For every
 * hour; what fails is tried again at the next.
 */
export async function sweep(d: Daemon): Promise<void> {
  try {
    await sweepUploads(d)
    await sweepSlugs(d)
    await sweepShelf(d)
    await sweepSpares(d)
  } catch (error) {
    d.log.warn('unused sources, slugs, buildpacks and copies of caches could not be removed', { error })
  }
}
