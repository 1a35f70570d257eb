import { join } from 'node:path'

type Place = { data: string }

/** Where slugs with these `files` are kept; here, because `build/` writes it and `run/` starts dynos from it. */
export const slugFolder = (config: Place, files: string): string => join(config.data, 'slugs', files)

/** Absolute path of the unpacked slug, as it is to be found at /app. */
export const slugTree = (config: Place, files: string): string => join(slugFolder(config, files), 'tree')

export const slugArchive = (config: Place, files: string): string => join(slugFolder(config, files), 'archive.tar.zst')
