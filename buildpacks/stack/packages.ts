import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** One name in Heroku's lists; `debian` is null when Debian 13 has nothing of the kind. */
export interface Package {
  heroku: string
  debian: string | null
}

const FOLDER = join(import.meta.dirname, '..', '..', '..', 'buildpacks', 'stack')

/** `name`, `name other-name` or `name -`, one a line; `#` starts a comment. */
export function parsePackages(text: string): Package[] {
  return text
    .split('\n')
    .filter((line) => line.trim() && !line.startsWith('#'))
    .map((line) => {
      const [heroku = '', debian = heroku, ...rest] = line.trim().split(/\s+/)
      if (rest.length > 0) throw new Error(`"${line}" in a package list has more than two words.`)
      return { heroku, debian: debian === '-' ? null : debian }
    })
}

export const readPackages = async (half: 'run' | 'build'): Promise<Package[]> =>
  parsePackages(await readFile(join(FOLDER, `${half}.packages`), 'utf8'))

/** What Debian is asked for, each name once. */
export async function packagesFor(half: 'run' | 'build'): Promise<string[]> {
  const names = (await readPackages(half)).flatMap(({ debian }) => debian ?? [])
  return [...new Set(names)].sort()
}
