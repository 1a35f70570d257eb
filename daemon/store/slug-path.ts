import { join } from 'node:path'

type Place = { data: string }

/** Where a slug is kept; here, because `build/` writes it and `run/` starts dynos from it. */
export const slugFolder = (config: Place, slug: string): string => join(config.data, 'slugs', slug)

/** Absolute path of the unpacked slug, as it is to be found at /app. */
export const slugTree = (config: Place, slug: string): string => join(slugFolder(config, slug), 'tree')

export const slugArchive = (config: Place, slug: string): string => join(slugFolder(config, slug), 'archive.tar.zst')
