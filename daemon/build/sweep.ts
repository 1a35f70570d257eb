import type { Daemon } from '../daemon.ts'
import { sweepSlugs } from './slug.ts'
import { sweepUploads } from './upload.ts'

/** Removes what clients sent and never used. For every hour; what fails is tried again at the next. */
export async function sweep(d: Daemon): Promise<void> {
  try {
    await sweepUploads(d)
    await sweepSlugs(d)
  } catch (error) {
    d.log.warn('unused sources and slugs could not be removed', { error })
  }
}
